"""What mutation starts from: events, requests and headers that the product takes."""

import json
import random
from typing import Any, Final

NOW: Final = 1_750_000_000_000
KEY: Final = "demo-write-key"

EVENTS: Final[tuple[dict[str, Any], ...]] = (
    {"type": "page_view", "user_id": "u1", "ts": NOW},
    {
        "type": "click",
        "user_id": "ü-2",
        "ts": NOW - 5_000,
        "category": "a,b %2C\u2028",
        "url": "/x",
    },
    {
        "type": "purchase",
        "user_id": "u3",
        "ts": NOW,
        "id": "01890000-0000-7000-8000-000000000001",
        "session_id": "s1",
        "url": "https://shop.example/shoes?a=1",
        "category": "shoes",
        "amount": "10.50",
        "currency": "EUR",
        "props": {"items": 2, "vip": True, "note": "😀", "ratio": 1.5, "none": None},
    },
    {"type": "error", "user_id": "u4", "ts": NOW, "props": {"message": 'x"\\\n\u0000'}},
    {
        "type": "custom.thing:1",
        "user_id": "u" * 128,
        "ts": NOW + 86_400_000,
        "amount": 1e-6,
        "currency": "USD",
    },
)
TEXTS: Final = tuple(json.dumps(event).encode() for event in EVENTS)
RAW_TEXTS: Final = tuple(json.dumps(event, ensure_ascii=False).encode() for event in EVENTS)

AGENTS: Final[tuple[bytes, ...]] = (
    *(
        b"",
        b"curl/8.5.0",
        b"MyServer/2.0",
        b"\xff\xfe\x00",
        b"x" * 5_000,
        b"(" * 500,
        b"Mozilla/5.0 ",
    ),
    b"Mozilla/5.0 (Linux; Android 14; Pixel 8) Chrome/131.0.0.0 Mobile Safari/537.36",
    b"Mozilla/5.0 (X11; Linux x86_64) " + b"Mobile Version/" * 30,
    b"Mozilla/5.0 (compatible; " + b"1." * 240 + b")",
    *(b"a; Android " + b"; " * 240 + b"Build/", b"Mozilla/" + b" " * 500 + b"x", b"-" * 512),
    *(b"BlackBerry" + b"0" * 490, b"Opera/9.80 (" + b"J2ME/MIDP; " * 40, b"iPhone" * 80),
)
FORWARDED: Final[tuple[bytes, ...]] = (
    *(b"", b"203.0.113.7", b"::1", b"[2001:db8::1]:443", b"198.51.100.1:99999", b"a, b, c"),
    *(b"," * 2_000, b"1.2.3.4," * 500, b"\xff", b"fe80::1%eth0", b"127.0.0.1, 127.0.0.1, 8.8.8.8"),
    *(b"::ffff:127.0.0.1, 9.9.9.9", b"0x7f.1", b"1" * 5_000, b"[::1", b"999.1.1.1", b"%00"),
)
CONTENT_TYPES: Final[tuple[bytes, ...]] = (
    *(b"application/json", b"text/plain", b"application/json; charset=utf-16", b"TEXT/PLAIN;"),
    *(
        b"",
        b"application/jsonx",
        b"multipart/form-data; boundary=x",
        b"\xff",
        b"application/json,x",
    ),
)
ENCODINGS: Final[tuple[bytes, ...]] = (
    *(b"gzip", b"identity", b"GZIP ", b"br", b"gzip, gzip", b"x-gzip", b"", b"deflate", b"\xff"),
)
LENGTHS: Final[tuple[bytes, ...]] = (
    *(b"0", b"5", b"1000001", b"-1", b"1e3", b"\xb2", b"9" * 5_000, b" 5", b"0x10", b""),
)
PATHS: Final[tuple[str, ...]] = (
    *(
        "/v1/events",
        "/v1/events/",
        "/v1//events",
        "/",
        "",
        "*",
        "/healthz",
        "/readyz",
        "/v1/eventsx",
    ),
    *("/v1/events\x00", "/../v1/events", "/v1/%65vents", "/\ud800", "/" + "a" * 10_000, "//"),
)
METHODS: Final = ("POST", "GET", "PUT", "OPTIONS", "HEAD", "post", "CONNECT", "PRI", "", "A" * 999)
QUERIES: Final[tuple[bytes, ...]] = (
    *(b"", b"key=" + KEY.encode(), b"key=", b"key", b"key=%00", b"key=%ff", b"&" * 5_000),
    *(b"a=1&" * 21 + b"key=" + KEY.encode(), b"key=x&key=" + KEY.encode(), b"%" * 99, b";;;key=1"),
    *(b"\xff=\xfe", b"key=" + b"%F0%9F%98%80" * 200, b"key[]=1", b"=" * 100, b"key=%ud800"),
)


def event_text(rng: random.Random) -> bytes:
    """The JSON of some valid event."""
    return rng.choice(rng.choice((TEXTS, RAW_TEXTS)))


def body(rng: random.Random) -> bytes:
    """A valid request body."""
    parts = [event_text(rng) for _ in range(rng.randint(1, 4))]
    extra = rng.choice((b"", b'"batch_id":"b%d",' % rng.getrandbits(40), b'"sent_at":%d,' % NOW))
    return b"{" + extra + b'"events":[' + b",".join(parts) + b"]}"


def lines(rng: random.Random) -> bytes:
    """Newline-delimited JSON as a producer that is not ours sends it."""
    extras = (b"", b'"project":"p",', b'"country":"DE","device":"tv",', b'"bot":true,')
    ends = (b"\n", b"\n", b"\r\n", b"\n\n", b"\r", b"\x0b")
    texts = [
        event_text(rng).replace(b"EUR", b"USD").replace(b"{", b"{" + rng.choice(extras), 1)
        for _ in range(rng.randint(1, 5))
    ]
    return rng.choice(ends).join(texts)
