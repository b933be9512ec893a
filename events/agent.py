"""What kind of device sent a request, and whether it was a person's, from its User-Agent.

ua-parser knows the crawlers that call themselves so; command-line clients, HTTP libraries and
headless browsers it takes for browsers, so those are found by name here. iPadOS in its desktop
mode says it is a Mac: it counts as desktop.
"""

import re
from functools import lru_cache
from typing import Final, NamedTuple

import ua_parser

from events import limits

DEVICES: Final = ("desktop", "mobile", "tablet", "tv", "other", "bot")
CACHE_SIZE: Final = 20_000


class Agent(NamedTuple):
    """`device` is one of `DEVICES`, and "bot" exactly when `bot`."""

    device: str
    bot: bool


_BOT: Final = Agent("bot", True)
# CUBOT makes phones.
_AUTOMATED: Final = re.compile(
    r"(?<!cu)bot(?![a-z])|crawl|spider|slurp|headless|phantomjs|puppeteer|playwright|selenium"
    r"|lighthouse|feedfetcher",
    re.IGNORECASE,
)
_READER: Final = re.compile(r"(?<!cu)bot|crawl|spider|slurp|feed|rss", re.IGNORECASE)
_TOOL: Final = re.compile(
    r"(?:curl|wget|java|libwww-perl|scrapy|python(?:-[a-z]+)?|aiohttp|httpx|go-http-client"
    r"|apache-httpclient)(?![a-z])",
    re.IGNORECASE,
)
_TV: Final = re.compile(
    r"smart-?tv|\btv\b|google ?tv|apple ?tv|android ?tv|hbbtv|netcast|web0s|\broku|\bcrkey"
    r"|\baft[a-z]{1,4}\b|bravia",
    re.IGNORECASE,
)
_TABLET: Final = re.compile(r"ipad|tablet|kindle|playbook", re.IGNORECASE)
_PHONE: Final = re.compile(r"mobile|phone|^okhttp/|cfnetwork/|^dalvik/|opera mini", re.IGNORECASE)
_MOBILE_SYSTEMS: Final = frozenset(
    {"Android", "BlackBerry OS", "Firefox OS", "KaiOS", "Symbian OS", "Windows Phone", "iOS"}
)
_DESKTOP_SYSTEMS: Final = frozenset(
    {"Chrome OS", "Debian", "Fedora", "FreeBSD", "Linux", "Mac OS", "Mac OS X", "NetBSD"}
    | {"OpenBSD", "Red Hat", "SUSE", "Solaris", "Ubuntu", "Windows"}
)


def classify(user_agent: str) -> Agent:
    """Device and bot flag; about 0.1 µs for a header seen lately, 30 µs for a new one."""
    return _classify(user_agent[: limits.MAX_USER_AGENT_CHARS])


@lru_cache(CACHE_SIZE)
def _classify(text: str) -> Agent:
    text = text.strip()
    if not text or _TOOL.match(text) or _AUTOMATED.search(text):
        return _BOT
    parsed = ua_parser.parse(text)
    family = parsed.user_agent.family if parsed.user_agent else ""
    device = parsed.device.family if parsed.device else ""
    product = text.partition("/")[0]
    if device == "Spider" or _READER.search(family) or _READER.search(product):
        return _BOT
    return Agent(_device(text, parsed.os.family if parsed.os else "", parsed.device), False)


def _device(text: str, system: str, device: ua_parser.Device | None) -> str:
    brand = (device.brand if device else None) or ""
    if brand == "Generic_Inettv" or _TV.search(text):
        return "tv"
    if brand == "Generic_Android_Tablet" or _TABLET.search(text):
        return "tablet"
    if system == "Android" and text.startswith("Mozilla/") and "Mobile" not in text:
        return "tablet"  # Android's own convention: phones say Mobile
    if system in _MOBILE_SYSTEMS or _PHONE.search(text):
        return "mobile"
    return "desktop" if system in _DESKTOP_SYSTEMS else "other"
