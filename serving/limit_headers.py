"""What an answer says of limits: a 429 with Retry-After, and the two fields of the IETF's draft.

`RateLimit-Policy` and `RateLimit` are those of draft-ietf-httpapi-ratelimit-headers-11, sections
3 and 4: lists of structured fields, a limit by the name of its setting. The quota `q` is the burst,
and its window `w` the seconds in which an empty bucket is full again.
"""

from collections.abc import Sequence
from typing import Final

from serving.ingest.errors import RequestError
from serving.limits import MICRO, Ask, Limit, Taken

NAMES: Final = "RateLimit, RateLimit-Policy"


def whole_seconds(wait: int) -> int:
    """Microseconds rounded up, and never at once."""
    return max(1, -(-wait // MICRO))


def policy_field(limits: Sequence[Limit]) -> str:
    """`RateLimit-Policy`. The unit `events` is not in the draft's registry; unsaid it would be
    requests.
    """
    return ", ".join(
        f'"{limit.setting}";q={limit.burst};w={-(-limit.burst // limit.rate)}'
        + ("" if limit.unit == "requests" else f';qu="{limit.unit}"')
        for limit in limits
    )


def limit_field(asks: Sequence[Ask], taken: Sequence[Taken]) -> str:
    """`RateLimit`: how many more, and where that is none, in how many seconds."""
    said = []
    for ask, answer in zip(asks, taken, strict=True):
        more = max(0, answer.left // MICRO - ask.least + 1)
        short = ask.least * MICRO - answer.left
        when = "" if more else f";t={whole_seconds(-(-short // ask.limit.rate))}"
        said.append(f'"{ask.limit.setting}";r={more}{when}')
    return ", ".join(said)


def refusal(limit: Limit, wait: int) -> RequestError:
    """The 429 of a limit that gives again in `wait` microseconds."""
    seconds = whole_seconds(wait)
    fields = {
        "retry-after": str(seconds),
        "ratelimit-policy": policy_field([limit]),
        "ratelimit": f'"{limit.setting}";r=0;t={seconds}',
    }
    headers = [(name.encode(), value.encode()) for name, value in fields.items()]
    return RequestError("rate_limited", limit.detail, headers)
