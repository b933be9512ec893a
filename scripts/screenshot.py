"""A picture of the dashboard: `python scripts/screenshot.py --url URL --out docs/dashboard.png`.

Drives the `chromium` found on PATH over the DevTools protocol, so that the picture is taken when
the page says it is live, and not after some guessed time.
"""

import argparse
import base64
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import websocket

BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS: Final = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)
START_TIMEOUT: Final = 30.0  # seconds for the browser to open its port
CALL_TIMEOUT: Final = 30.0  # seconds for one answer
STOP_TIMEOUT: Final = 5.0
POLL_EVERY: Final = 0.1
STATE: Final = "document.body ? (document.body.dataset.state || '') : ''"


class ScreenshotError(RuntimeError):
    """No picture could be taken; the message says why in one line."""


class Page:
    """One tab, spoken to over its DevTools socket."""

    def __init__(self, address: str) -> None:
        self._socket = websocket.create_connection(
            address, timeout=CALL_TIMEOUT, suppress_origin=True, http_no_proxy=["127.0.0.1"]
        )
        self._ids = itertools.count(1)
        self.problems: list[str] = []  # errors the page logged

    def call(self, method: str, params: Mapping[str, object] | None = None) -> dict[str, Any]:
        """The result of one command."""
        number = next(self._ids)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params or {}}))
        deadline = time.monotonic() + CALL_TIMEOUT
        while time.monotonic() < deadline:
            message: dict[str, Any] = json.loads(self._socket.recv())
            self._note(message)
            if message.get("id") == number:
                if "error" in message:
                    raise ScreenshotError(f"{method}: {message['error'].get('message')}")
                result: dict[str, Any] = message["result"]
                return result
        raise ScreenshotError(f"{method}: no answer within {CALL_TIMEOUT:g} s")

    def evaluate(self, expression: str) -> object:
        """The value of a JavaScript expression; a promise is awaited."""
        result = self.call(
            "Runtime.evaluate",
            {"expression": expression, "returnByValue": True, "awaitPromise": True},
        )
        if "exceptionDetails" in result:
            raise ScreenshotError(f"{expression}: {result['exceptionDetails'].get('text')}")
        return result["result"].get("value")

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()

    def _note(self, message: Mapping[str, Any]) -> None:
        if message.get("method") == "Runtime.exceptionThrown":
            details = message["params"]["exceptionDetails"]
            thrown = details.get("exception", {}).get("description")
            self.problems.append(str(thrown or details.get("text")))
        elif message.get("method") == "Log.entryAdded":
            entry = message["params"]["entry"]
            if entry.get("level") == "error":
                self.problems.append(f"{entry.get('text')} {entry.get('url', '')}".strip())


def find_browser() -> str:
    """The browser on PATH."""
    for name in BROWSERS:
        path = shutil.which(name)
        if path is not None:
            return path
    raise ScreenshotError("no chromium on PATH")


@contextmanager
def browser(width: int, height: int) -> Iterator[str]:
    """A fresh headless browser, ended afterwards; gives the DevTools address of its one tab."""
    with tempfile.TemporaryDirectory(prefix="screenshot-", ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [
                find_browser(),
                *FLAGS,
                f"--user-data-dir={profile}",
                f"--window-size={width},{height}",
                "about:blank",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # its own group, so that its children end with it
        )
        try:
            yield tab_address(process, Path(profile))
        finally:
            stop(process)


def tab_address(process: "subprocess.Popen[bytes]", profile: Path) -> str:
    """Wait for the port the browser chose, and ask it for its tab."""
    port_file = profile / "DevToolsActivePort"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise ScreenshotError(f"the browser ended with status {process.returncode}")
        try:
            port = int(port_file.read_text().splitlines()[0])
            with opener.open(f"http://127.0.0.1:{port}/json/list", timeout=CALL_TIMEOUT) as reply:
                tabs: list[dict[str, str]] = json.load(reply)
            for tab in tabs:
                if tab.get("type") == "page":
                    return tab["webSocketDebuggerUrl"]
        except (OSError, ValueError, IndexError):
            pass  # not up yet
        time.sleep(POLL_EVERY)
    raise ScreenshotError(f"the browser opened no tab within {START_TIMEOUT:g} s")


def stop(process: "subprocess.Popen[bytes]") -> None:
    """End the browser this script started, and its process group."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        os.killpg(process.pid, number)
        try:
            process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            continue


def take(args: argparse.Namespace) -> list[str]:
    """Write the picture; returns the errors the page logged. Raises `ScreenshotError`."""
    with browser(args.width, args.height) as address:
        page = Page(address)
        try:
            return _take(page, args)
        finally:
            page.close()


def _take(page: Page, args: argparse.Namespace) -> list[str]:
    for domain in ("Page", "Runtime", "Log"):
        page.call(f"{domain}.enable")
    page.call(
        "Emulation.setDeviceMetricsOverride",
        {
            "width": args.width,
            "height": args.height,
            "deviceScaleFactor": args.scale,
            "mobile": args.width < 600,
        },
    )
    scheme = {"name": "prefers-color-scheme", "value": "dark" if args.dark else "light"}
    page.call("Emulation.setEmulatedMedia", {"features": [scheme]})
    reached = page.call("Page.navigate", {"url": args.url})
    if reached.get("errorText"):
        raise ScreenshotError(f"{args.url}: {reached['errorText']}")
    deadline = time.monotonic() + args.timeout
    while (state := page.evaluate(STATE)) != args.state:
        if time.monotonic() > deadline:
            said = "; ".join(page.problems) or "no errors logged"
            raise ScreenshotError(
                f"the page is {state!r}, not {args.state!r}, after {args.timeout:g} s ({said})"
            )
        time.sleep(POLL_EVERY)
    until = time.monotonic() + args.wait  # a few updates more, so that every line has its points
    while time.monotonic() < until:
        page.evaluate("0")  # keeps the socket read
        time.sleep(POLL_EVERY)
    if args.script:
        page.evaluate(args.script)
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    picture = page.call("Page.captureScreenshot", {"format": "png", "captureBeyondViewport": False})
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_bytes(base64.b64decode(picture["data"]))
    return page.problems


def main(argv: Sequence[str] | None = None) -> int:
    """Take one picture."""
    parser = argparse.ArgumentParser(description="Take a picture of the dashboard.")
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
    except (ScreenshotError, websocket.WebSocketException, OSError) as error:
        print(f"screenshot: {error}", file=sys.stderr)
        return 1
    for problem in problems:
        print(f"screenshot: the page logged: {problem}", file=sys.stderr)
    print(args.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
