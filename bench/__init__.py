"""Benchmarks and fault beds: programs that use Overture as a person would, and print figures. Not part of the wheel."""
