"""The HTTP side: the collector (its own ASGI process) and the query and push service."""
