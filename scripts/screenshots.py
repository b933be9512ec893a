"""The README's pictures: `python -m scripts.screenshots`, of the made-up shop of `scripts.shop`.

Desktop, dark, phone and TV; also what it measures of the page while it is at it: the time from the
address to the first numbers, and how far things moved while numbers changed.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import websocket

from scripts.browser import POLL_EVERY, BrowserError, Page, browser
from scripts.palette import png
from scripts.shop import running

SECONDS: Final = 6.0  # of live updates before a picture
NOTE: Final = """
  new MutationObserver((_, all) => {
    const figure = document.querySelector("#tile-events .figure");
    if (figure === null || figure.textContent === "–") return;
    window.__first = performance.now();
    all.disconnect();
  }).observe(document, { subtree: true, childList: true, characterData: true });
"""
WATCH: Final = """
  window.__shift = 0;
  window.__moved = new Set();
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (!entry.hadRecentInput) {
      window.__shift += entry.value;
      for (const { node } of entry.sources) {
        window.__moved.add((node?.outerHTML ?? node?.data ?? "").slice(0, 80));
      }
    }
  }).observe({ type: "layout-shift", buffered: false });
"""


class Picture(NamedTuple):
    """One of them."""

    name: str
    width: int
    height: int
    query: str = ""
    dark: bool = False
    scale: float = 1.0
    keys: str = ""  # pressed before it is taken


PICTURES: Final = (
    Picture("dashboard", 1440, 900, "?compare=yesterday"),
    Picture("dashboard-dark", 1440, 900, "?metric=revenue&hours=6", dark=True),
    Picture("dashboard-phone", 390, 844, "?hours=6", scale=2.0),
    Picture("dashboard-tv", 1920, 1080, "?tv=1"),
)
MORE: Final = (
    Picture("filtered", 1440, 900, "?country=DE&device=mobile"),
    Picture("help", 1440, 900, keys="?"),
    Picture("tablet", 900, 1200),
    Picture("tv-4k", 3840, 2160, dark=True),
    Picture("phone-dark", 360, 740, dark=True, scale=2.0),
)


def take(page: Page, address: str, picture: Picture, folder: Path) -> dict[str, Any]:
    """Write it; what was measured."""
    page.look(picture.width, picture.height, dark=picture.dark, scale=picture.scale)
    page.open(address + picture.query)
    first = page.wait("window.__first")
    page.state("live")
    page.evaluate(WATCH)
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        page.evaluate("0")  # keeps the socket read
        time.sleep(POLL_EVERY)
    shift = page.evaluate("window.__shift")
    moved = page.evaluate("[...window.__moved]")
    for key in picture.keys:
        page.press(key)
    seen = page.seen()
    found = {
        "first_numbers_ms": round(float(first)),
        "layout_shift": shift,
        "moved": moved,
        "too_wide_px": page.evaluate("document.documentElement.scrollWidth - innerWidth"),
        "scrolls_px": page.evaluate("document.documentElement.scrollHeight - innerHeight"),
        "problems": list(page.problems),
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{picture.name}.png").write_bytes(png(page.pixels(seen)))
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Take all of them."""
    parser = argparse.ArgumentParser(prog="scripts.screenshots", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs"))
    parser.add_argument("--more", action="store_true", help="other views too, for looking at them")
    parser.add_argument("--url", help="of a dashboard that runs, in place of the made-up shop")
    options = parser.parse_args(argv)
    pictures = (*PICTURES, *MORE) if options.more else PICTURES
    try:
        with tempfile.TemporaryDirectory(prefix="screenshots-") as folder:
            if options.url:
                _all(options.url, pictures, options.out)
            else:
                with running(Path(folder)) as address:
                    _all(address, pictures, options.out)
    except (BrowserError, websocket.WebSocketException, OSError) as error:
        print(f"screenshots: {error}", file=sys.stderr)
        return 1
    return 0


def _all(address: str, pictures: Sequence[Picture], out: Path) -> None:
    with browser() as page:
        page.call("Page.addScriptToEvaluateOnNewDocument", {"source": NOTE})
        for picture in pictures:
            print(picture.name, take(page, address, picture, out), flush=True)


if __name__ == "__main__":
    sys.exit(main())
