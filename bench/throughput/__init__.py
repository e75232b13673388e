"""How fast, next to what the same machine does in the same run with nothing behind it: `python -m bench.throughput`."""
