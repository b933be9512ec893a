"""A picture of the dashboard: `python -m scripts.screenshot --url URL --out docs/dashboard.png`.

It is taken when the page says that it is live (or `--state`), and not after some guessed time.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import websocket

from scripts.browser import POLL_EVERY, BrowserError, browser


def take(args: argparse.Namespace) -> list[str]:
    """Write the picture; returns the errors the page logged. Raises `BrowserError`."""
    with browser(args.width, args.height) as page:
        page.look(args.width, args.height, dark=args.dark, scale=args.scale)
        page.open(args.url)
        page.state(args.state, args.timeout)
        until = time.monotonic() + args.wait  # a few updates more, so that lines have their points
        while time.monotonic() < until:
            page.evaluate("0")  # keeps the socket read
            time.sleep(POLL_EVERY)
        if args.script:
            page.evaluate(args.script)
        page.picture(args.out)
        return page.problems


def main(argv: Sequence[str] | None = None) -> int:
    """Take one picture."""
    parser = argparse.ArgumentParser(prog="scripts.screenshot", description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8080/")
    parser.add_argument("--out", type=Path, default=Path("docs/dashboard.png"))
    parser.add_argument("--width", type=int, default=1360)
    parser.add_argument("--height", type=int, default=900)
    parser.add_argument("--scale", type=float, default=1.0, help="device pixels per CSS pixel")
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--wait", type=float, default=8.0, help="seconds after the page is ready")
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds to become ready")
    parser.add_argument("--state", default="live", help="the data-state of the body to wait for")
    parser.add_argument("--script", default="", help="JavaScript to run before the picture")
    args = parser.parse_args(argv)
    try:
        problems = take(args)
    except (BrowserError, websocket.WebSocketException, OSError) as error:
        print(f"screenshot: {error}", file=sys.stderr)
        return 1
    for problem in problems:
        print(f"screenshot: the page logged: {problem}", file=sys.stderr)
    print(args.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
