"""Where code of authors runs: scripts (`lanes`), their check, templates (`rendering`), and the `jail` around all."""
