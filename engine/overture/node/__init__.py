"""One running process: the parts put together by role, started and drained."""
