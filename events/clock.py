"""When an event happened, from three clocks: the event's, the sender's and ours.

Only a grossly wrong sender clock is corrected, and by whole steps, so that network delay and
small drift never move an event to another minute. All three times are kept beside the result.
"""

from events import limits


def event_time(ts: int, sent_at: int | None, received_at: int) -> int:
    """The event's time in ms, never more than a minute after `received_at`."""
    return shifted(ts, correction(sent_at, received_at), received_at)


def shifted(ts: int, shift: int, received_at: int) -> int:
    """The same, with the sender's `correction`."""
    if shift:
        ts = max(ts - shift, limits.MIN_TS_MS)
    return received_at if ts > received_at + limits.FUTURE_TOLERANCE_MS else ts


def correction(sent_at: int | None, received_at: int) -> int:
    """How far ahead the sender's clock is, in ms: a whole number of steps, mostly none.

    `sent_at` is that clock when it sent the request; one that cannot be a time (`MIN_TS_MS` to
    `MAX_TS_MS`) is ignored.
    """
    if sent_at is None or not limits.MIN_TS_MS <= sent_at <= limits.MAX_TS_MS:
        return 0
    skew = sent_at - received_at
    if abs(skew) <= limits.SKEW_THRESHOLD_MS:
        return 0
    return (skew + limits.SKEW_STEP_MS // 2) // limits.SKEW_STEP_MS * limits.SKEW_STEP_MS
