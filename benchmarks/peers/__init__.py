"""The same job on the same events by other engines: `make bench-peers`."""
