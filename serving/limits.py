"""Token buckets, shared by all processes: how many requests or events, how soon again.

A bucket holds at most `burst` tokens and gains `rate` a second, so within any t seconds at most
burst + rate * t are taken. `take` is the rule, in Python; `SCRIPT` is the same in Redis, in Redis'
own time, for all buckets of a call at once (tests/integration compares the two). Buckets are asked
in groups, and of a group all give or none: a refusal costs nothing. Numbers are whole, tokens in
millionths and times in microseconds, so that both count the same and nothing is lost in rounding.
An idle bucket is a full one, so it need not be kept: its key in Redis ends when it would be full.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

MICRO: Final = 1_000_000  # of a token; microseconds of a second
MAX_RATE: Final = 1_000_000  # tokens a second
MAX_BURST: Final = 100_000_000  # tokens; in millionths they still fit what a double holds exactly


class Limit(NamedTuple):
    """`rate` units a second and `burst` at once. `setting` is the option that makes it, its name.

    `program` keeps apart what two programs count.
    """

    program: str
    setting: str
    rate: int
    burst: int
    unit: str = "requests"

    @property
    def detail(self) -> str:
        """What an error says of it."""
        return f"{self.setting} is {self.rate} a second, {self.burst} at once."

    def check(self, least: int) -> None:
        """Raise ValueError on a limit that makes no sense; `least` must fit in its burst."""
        if not 0 <= self.rate <= MAX_RATE:
            raise ValueError(f"{self.setting} is not from 0 to {MAX_RATE:,}: {self.rate}")
        if self.rate and not least <= self.burst <= MAX_BURST:
            raise ValueError(
                f"the burst of {self.setting} is not from {least:,} to {MAX_BURST:,}: {self.burst}"
            )


class Ask(NamedTuple):
    """Take `most` tokens of a bucket, or what is there, if at least `least` are.

    `most` may be less: then what lies between stays in the bucket.
    """

    limit: Limit
    who: str
    least: int
    most: int

    @property
    def bucket(self) -> str:
        """Its key in Redis."""
        return f"sl:limit:{self.limit.program}:{self.limit.setting}:{self.who}"


class Level(NamedTuple):
    """What a bucket held at a time."""

    micro: int  # millionths of a token
    at: int  # microseconds


class Taken(NamedTuple):
    """An answer. Nothing is `granted` when a bucket of the group had too little."""

    granted: int  # tokens
    wait: int  # microseconds until there are `least` in this bucket; 0: there are
    left: int  # millionths of a token


def take(
    asks: Sequence[Ask], levels: Sequence[Level | None], now: int
) -> tuple[list[Taken], list[Level | None]]:
    """One group at the time `now` (microseconds): the answers, and what the buckets hold then.

    None is a full bucket. A bucket stands once in a group.
    """
    held = [_filled(ask.limit, level, now) for ask, level in zip(asks, levels, strict=True)]
    all_give = all(micro >= ask.least * MICRO for ask, micro in zip(asks, held, strict=True))
    taken: list[Taken] = []
    after: list[Level | None] = []
    for ask, level, micro in zip(asks, levels, held, strict=True):
        granted = min(ask.most, micro // MICRO) if all_give else 0
        left = micro - granted * MICRO
        missing = max(0, ask.least * MICRO - micro)
        taken.append(Taken(granted, -(-missing // ask.limit.rate), left))
        after.append(Level(left, now) if granted else level)
    return taken, after


def _filled(limit: Limit, level: Level | None, now: int) -> int:
    full = limit.burst * MICRO
    return full if level is None else min(full, level.micro + max(0, now - level.at) * limit.rate)


# ARGV: the size of a group; then of each bucket rate, burst, least, most. Said are Redis' time in
# microseconds, and of each bucket granted, wait, left.
SCRIPT: Final = """
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local size, said = tonumber(ARGV[1]), {now}
for first = 1, #KEYS, size do
  local all_give, held = true, {}
  for i = first, first + size - 1 do
    local rate, burst, least = ARGV[4 * i - 2], ARGV[4 * i - 1], ARGV[4 * i]
    local micro, level = burst * 1000000, redis.call('GET', KEYS[i])
    if level then
      local kept, at = string.match(level, '^(%d+) (%d+)$')
      micro = math.min(micro, kept + math.max(0, now - at) * rate)
    end
    held[i] = micro
    all_give = all_give and micro >= least * 1000000
  end
  for i = first, first + size - 1 do
    local rate, burst, least = ARGV[4 * i - 2], ARGV[4 * i - 1], ARGV[4 * i]
    local granted = 0
    if all_give then
      granted = math.min(tonumber(ARGV[4 * i + 1]), math.floor(held[i] / 1000000))
    end
    local left = held[i] - granted * 1000000
    if granted > 0 then
      local full_in = math.ceil((burst * 1000000 - left) / rate / 1000) + 1000
      redis.call('SET', KEYS[i], string.format('%.0f %.0f', left, now), 'PX', full_in)
    end
    said[#said + 1] = granted
    said[#said + 1] = math.ceil(math.max(0, least * 1000000 - held[i]) / rate)
    said[#said + 1] = left
  end
end
return said
"""


def arguments(asks: Sequence[Ask], size: int) -> list[Any]:
    """What follows the script in an EVAL of groups of `size`."""
    numbers = [
        number for ask in asks for number in (ask.limit.rate, ask.limit.burst, ask.least, ask.most)
    ]
    return [len(asks), *(ask.bucket for ask in asks), size, *numbers]


def answers(said: Sequence[int]) -> list[Taken]:
    """What the script said, by ask."""
    return [Taken(*said[i : i + 3]) for i in range(1, len(said), 3)]


class LocalBuckets:
    """The buckets of this process alone, for a time without Redis; of most clients, the latest."""

    def __init__(self, clock: Callable[[], float], most: int = 20_000) -> None:
        self._clock = clock
        self._most = most
        self._levels: OrderedDict[str, Level] = OrderedDict()

    def take(self, asks: Sequence[Ask]) -> list[Taken]:
        """One group, as in Redis."""
        names = [ask.bucket for ask in asks]
        now = int(self._clock() * MICRO)
        taken, after = take(asks, [self._levels.get(name) for name in names], now)
        for name, level in zip(names, after, strict=True):
            if level is not None:
                self._levels[name] = level
                self._levels.move_to_end(name)
        while len(self._levels) > self._most:
            self._levels.popitem(last=False)
        return taken
