"""Overture: a marketing-automation server. See ARCHITECTURE.md."""

__version__ = "0.1.0"
