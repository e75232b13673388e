"""Training: the models of a ruleset fitted to recorded facts, and how good they are on later ones.

Reads the archive of a data directory, or a file of facts; writes an artefact and a report, nothing else.
"""
