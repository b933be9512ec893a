"""Every limit on input, in one place. Bytes, counts and milliseconds as the name says."""

from typing import Final

MAX_BODY_BYTES: Final = 1_000_000  # request body, as received and after gunzip
MAX_EVENT_BYTES: Final = 32_768  # one event's JSON text
MAX_EVENTS_PER_REQUEST: Final = 1_000
MAX_ID_CHARS: Final = 128  # user_id, session_id
MAX_BATCH_ID_CHARS: Final = 64
MAX_URL_CHARS: Final = 2_048
MAX_CATEGORY_CHARS: Final = 64
MAX_TYPE_CHARS: Final = 64
MAX_PROPS: Final = 32  # keys in props
MAX_PROP_NAME_CHARS: Final = 64
MAX_PROP_VALUE_CHARS: Final = 1_024
MAX_AMOUNT_MICROS: Final = 10**13  # ten million units of currency: sums stay far from 64 bits
MIN_TS_MS: Final = 946_684_800_000  # 2000-01-01; an older clock is a broken clock
MAX_TS_MS: Final = 4_102_444_800_000  # 2100-01-01
MAX_USER_AGENT_CHARS: Final = 512

FUTURE_TOLERANCE_MS: Final = 60_000  # further ahead of the server clock is clamped
SKEW_THRESHOLD_MS: Final = 300_000  # |sent_at - received_at| beyond this is a wrong clock
SKEW_STEP_MS: Final = 300_000  # the correction is a whole number of these
MAX_MESSAGE_BYTES: Final = 8_388_608  # one Kafka message
MAX_MESSAGE_ROWS: Final = 100_000  # that a message may say it holds; else it is taken for one
MAX_UNPACKED_BYTES: Final = 33_554_432  # one EventBatch's columns; ours have at most 10 MB
# A message's events are never more than this after the broker's clock: the collector's minute,
# and one between the two clocks. A reader without state starts where it does because of this.
MAX_AHEAD_MS: Final = 120_000
PROJECT_NAME: Final = r"^[a-z0-9][a-z0-9_-]{0,63}\Z"
