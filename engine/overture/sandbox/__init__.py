"""Where code of authors runs: scripts (`lanes`), their check (`check`), and the jail around both (`jail`)."""
