"""The collector's connections to Redis."""

from redis.asyncio import Redis


def open_redis(url: str, timeout_ms: int, connections: int) -> tuple["Redis", float]:
    """A client that gives up soon and does not retry, and its time limit in seconds.

    Nothing is opened until the first use.
    """
    seconds = timeout_ms / 1_000
    client = Redis.from_url(
        url,
        max_connections=connections,
        socket_timeout=seconds,
        socket_connect_timeout=seconds,
        retry=None,
    )
    return client, seconds
