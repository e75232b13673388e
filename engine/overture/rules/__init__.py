"""From a ruleset document to a checked program; every word to its author about what is wrong comes from here."""
