"""Chromium over the DevTools protocol: as much of it as pictures and tests of the dashboard need.

Drives the `chromium` found on PATH, headless. Waiting is on conditions, with a deadline.
"""

import base64
import itertools
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import websocket
from numpy.typing import NDArray

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
PAINTED: Final = (
    "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))"
)
KEYS: Final = {  # those that are no letters -> (code, number, text)
    "Escape": ("Escape", 27, ""),
    "Enter": ("Enter", 13, "\r"),
    "Tab": ("Tab", 9, ""),
    " ": ("Space", 32, " "),
    "ArrowLeft": ("ArrowLeft", 37, ""),
    "ArrowRight": ("ArrowRight", 39, ""),
    "Home": ("Home", 36, ""),
    "End": ("End", 35, ""),
}
SHIFT: Final = 8  # DevTools' bit


class BrowserError(RuntimeError):
    """It does not do what it should; the message says why in one line."""


class Page:
    """One tab, spoken to over its DevTools socket."""

    def __init__(self, address: str) -> None:
        self._socket = websocket.create_connection(
            address, timeout=CALL_TIMEOUT, suppress_origin=True, http_no_proxy=["127.0.0.1"]
        )
        self._ids = itertools.count(1)
        self.problems: list[str] = []  # errors the page logged
        self.requests: list[str] = []  # method and URL of all that it asked for
        self.frames: list[str] = []  # what it said on WebSockets
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

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
                    raise BrowserError(f"{method}: {message['error'].get('message')}")
                result: dict[str, Any] = message["result"]
                return result
        raise BrowserError(f"{method}: no answer within {CALL_TIMEOUT:g} s")

    def evaluate(self, expression: str) -> object:
        """The value of a JavaScript expression; a promise is awaited."""
        result = self.call(
            "Runtime.evaluate",
            {"expression": expression, "returnByValue": True, "awaitPromise": True},
        )
        if "exceptionDetails" in result:
            raise BrowserError(f"{expression}: {result['exceptionDetails'].get('text')}")
        return result["result"].get("value")

    def open(self, url: str) -> None:
        """Go there, and forget what was noted of the page before."""
        self.call("Page.navigate", {"url": "about:blank"})
        for noted in (self.problems, self.requests, self.frames):
            noted.clear()
        reached = self.call("Page.navigate", {"url": url})
        if reached.get("errorText"):
            raise BrowserError(f"{url}: {reached['errorText']}")
        self.wait("document.readyState === 'complete'")

    def wait(self, expression: str, seconds: float = 30.0) -> Any:
        """The first true value of an expression."""
        deadline = time.monotonic() + seconds
        while not (found := self.evaluate(expression)):
            if time.monotonic() > deadline:
                said = "; ".join(self.problems) or "no errors logged"
                raise BrowserError(f"{expression} is {found!r} after {seconds:g} s ({said})")
            time.sleep(POLL_EVERY)
        return found

    def state(self, name: str, seconds: float = 30.0) -> None:
        """Wait until the dashboard says that it is in this state."""
        self.wait(f"document.body?.dataset.state === {json.dumps(name)}", seconds)

    def text(self, selector: str) -> str:
        """What an element says."""
        return str(self.evaluate(f"document.querySelector({json.dumps(selector)}).textContent"))

    def press(self, key: str, *, shift: bool = False) -> None:
        """A key, on whatever has the focus."""
        if key in KEYS:
            code, number, text = KEYS[key]
        else:
            code, number, text = f"Key{key.upper()}", ord(key.upper()), key
        said = {"key": key, "code": code, "windowsVirtualKeyCode": number}
        said["modifiers"] = SHIFT if shift else 0
        down = {"type": "keyDown" if text else "rawKeyDown", **({"text": text} if text else {})}
        self.call("Input.dispatchKeyEvent", {**said, **down})
        self.call("Input.dispatchKeyEvent", {**said, "type": "keyUp"})

    def write(self, text: str) -> None:
        """Text, into the field that has the focus."""
        self.call("Input.insertText", {"text": text})

    def click(self, selector: str) -> None:
        """The middle of the first such element that can be seen, wherever it is scrolled to."""
        x, y = self._place(selector, 0.5)
        self._mouse("mousePressed", x, y)
        self._mouse("mouseReleased", x, y)

    def point(self, selector: str, at: float) -> None:
        """Move the mouse to a place on an element, from 0 (left) to 1."""
        self._mouse("mouseMoved", *self._place(selector, at), buttons=0)

    def drag(self, selector: str, start: float, end: float) -> None:
        """From one place on an element to another, from 0 (left) to 1."""
        x, y = self._place(selector, start)
        to, _ = self._place(selector, end)
        self._mouse("mouseMoved", x, y, buttons=0)
        self._mouse("mousePressed", x, y)
        for step in range(1, 5):
            self._mouse("mouseMoved", x + (to - x) * step / 4, y)
        self._mouse("mouseReleased", to, y)

    def look(self, width: int, height: int, *, dark: bool = False, scale: float = 1.0) -> None:
        """The size of the window, and what its owner likes."""
        size = {"width": width, "height": height, "deviceScaleFactor": scale}
        self.call("Emulation.setDeviceMetricsOverride", {**size, "mobile": width < 600})
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", {"features": [scheme]})

    def offline(self, *, really: bool) -> None:
        """Take the network away, or give it back."""
        limits = {"offline": really, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        self.call("Network.emulateNetworkConditions", limits)

    def pixels(self, png: bytes) -> NDArray[np.uint8]:
        """RGB of a PNG: [height, width, 3]. Leaves the page: its policy allows no such thing."""
        self.call("Page.navigate", {"url": "about:blank"})
        found = self.evaluate(
            f"""(async () => {{
              const answer = await fetch("data:image/png;base64,{base64.b64encode(png).decode()}");
              const image = await createImageBitmap(await answer.blob());
              const canvas = new OffscreenCanvas(image.width, image.height);
              const context = canvas.getContext("2d");
              context.drawImage(image, 0, 0);
              const {{ data }} = context.getImageData(0, 0, image.width, image.height);
              let text = "";
              for (let at = 0; at < data.length; at += 32768)
                text += String.fromCharCode(...data.subarray(at, at + 32768));
              return [image.width, image.height, btoa(text)];
            }})()"""
        )
        if not isinstance(found, list):
            raise BrowserError("the picture cannot be read")
        width, height, text = found
        rgba = np.frombuffer(base64.b64decode(text), np.uint8).reshape(height, width, 4)
        return rgba[:, :, :3]

    def picture(self, out: Path) -> None:
        """What can be seen, as PNG."""
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_bytes(self.seen())

    def seen(self) -> bytes:
        """What can be seen, as PNG."""
        self.evaluate(PAINTED)
        taken = self.call(
            "Page.captureScreenshot", {"format": "png", "captureBeyondViewport": False}
        )
        return base64.b64decode(taken["data"])

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()

    def _place(self, selector: str, at: float) -> tuple[float, float]:
        """On the screen; the element is scrolled to when it is not there."""
        found = self.evaluate(
            f"""(() => {{
              const seen = [...document.querySelectorAll({json.dumps(selector)})]
                .find((each) => each.checkVisibility());
              if (seen === undefined) return null;
              seen.scrollIntoView({{ block: "nearest" }});
              const box = seen.getBoundingClientRect();
              return [box.left, box.top, box.width, box.height];
            }})()"""
        )
        if not isinstance(found, list):
            raise BrowserError(f"{selector} cannot be seen")
        left, top, width, height = found
        return left + width * at, top + height / 2

    def _mouse(self, kind: str, x: float, y: float, buttons: int = 1) -> None:
        said = {"type": kind, "x": x, "y": y, "button": "left", "buttons": buttons, "clickCount": 1}
        self.call("Input.dispatchMouseEvent", said)

    def _note(self, message: Mapping[str, Any]) -> None:
        if message.get("method") == "Runtime.exceptionThrown":
            details = message["params"]["exceptionDetails"]
            thrown = details.get("exception", {}).get("description")
            self.problems.append(str(thrown or details.get("text")))
        elif message.get("method") == "Log.entryAdded":
            entry = message["params"]["entry"]
            if entry.get("level") == "error":
                self.problems.append(f"{entry.get('text')} {entry.get('url', '')}".strip())
        elif message.get("method") == "Network.requestWillBeSent":
            request = message["params"]["request"]
            self.requests.append(f"{request['method']} {request['url']}")
        elif message.get("method") == "Network.webSocketFrameSent":
            self.frames.append(message["params"]["response"]["payloadData"])


def find_browser() -> str:
    """The browser on PATH."""
    for name in BROWSERS:
        path = shutil.which(name)
        if path is not None:
            return path
    raise BrowserError("no chromium on PATH")


@contextmanager
def browser(width: int = 1360, height: int = 900) -> Iterator[Page]:
    """The one tab of a fresh headless browser, which is ended afterwards."""
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
            page = Page(tab_address(process, Path(profile)))
            try:
                yield page
            finally:
                page.close()
        finally:
            stop(process)


def tab_address(process: "subprocess.Popen[bytes]", profile: Path) -> str:
    """Wait for the port the browser chose, and ask it for its tab."""
    port_file = profile / "DevToolsActivePort"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise BrowserError(f"the browser ended with status {process.returncode}")
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
    raise BrowserError(f"the browser opened no tab within {START_TIMEOUT:g} s")


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
