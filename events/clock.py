"""When an event happened, from three clocks: the event's, the sender's and ours.

Only a grossly wrong sender clock is corrected, and by whole steps, so that network delay and
small drift never move an event to another minute. All three times are kept beside the result.
"""

from events import limits


def event_time(ts: int, sent_at: int | None, received_at: int) -> int:
    """The event's time in ms, never more than a minute after `received_at`.

    `sent_at` is the sender's clock when it sent the request; one that cannot be a time
    (`MIN_TS_MS` to `MAX_TS_MS`) is ignored.
    """
    if sent_at is not None and limits.MIN_TS_MS <= sent_at <= limits.MAX_TS_MS:
        skew = sent_at - received_at
        if abs(skew) > limits.SKEW_THRESHOLD_MS:
            steps = (skew + limits.SKEW_STEP_MS // 2) // limits.SKEW_STEP_MS
            ts = max(ts - steps * limits.SKEW_STEP_MS, limits.MIN_TS_MS)
    return received_at if ts > received_at + limits.FUTURE_TOLERANCE_MS else ts
