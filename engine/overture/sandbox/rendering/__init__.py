"""Rendering templates in a jailed process; nothing in the process that asks parses or runs one."""
