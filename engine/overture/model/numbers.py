"""How large a number may be."""

from __future__ import annotations

NUMBER_LIMIT = 2**53
"""Whole numbers are exact up to here in JSON, in a double and in a Redis score; beyond it neighbours are one."""
