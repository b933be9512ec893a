"""The collector: takes events over HTTP, checks and enriches them, and hands them to the broker."""
