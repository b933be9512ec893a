"""The dashboard's client of `/v1/live`, in node where there is one: its waits and states."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

import serving

NODE = shutil.which("node")
CLIENT = Path(serving.__file__).with_name("static") / "live.js"
pytestmark = pytest.mark.skipif(NODE is None, reason="no node on this machine")

# A browser of which time stands still, and a socket that a test speaks through.
STAGE = """
const { Live } = await import(URL);
const waits = [], states = [], messages = [];
globalThis.addEventListener = () => {};
globalThis.setTimeout = (_, wait) => waits.push(wait);
globalThis.setInterval = () => 0;
globalThis.clearTimeout = globalThis.clearInterval = () => {};
Object.defineProperty(globalThis, "navigator", { value: { onLine: true }, configurable: true });
let now = 1_000_000;
Date.now = () => now;
Math.random = () => RANDOM;
globalThis.fetch = async () => ({ ok: true, json: async () => ({ ticket: "t" }) });
globalThis.WebSocket = class { send() {} close() {} };
const live = new Live({
  url: "", ticketUrl: "", onError: () => {},
  onState: (s) => states.push(s), onMessage: (m) => messages.push(m),
});
const say = (message) => live.socket.onmessage({ data: JSON.stringify(message) });
const delta = { type: "delta", as_of: 5, filter: {} };
live.start("k", {});
const opened = async () => { while (live.socket === null) await new Promise(setImmediate); };
await opened();
"""


def play(steps: str, random: float = 0.5) -> dict[str, Any]:
    """What the client has done after some steps: its waits (ms), states and messages."""
    stage = STAGE.replace("URL", json.dumps(CLIENT.as_uri())).replace("RANDOM", str(random))
    end = "console.log(JSON.stringify({ waits, states, messages, failures: live.failures }));"
    done = subprocess.run(
        [str(NODE), "--input-type=module", "--eval", stage + steps + end],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


LEAVING = '{ type: "announce", reason: "leaving", reconnect_within_seconds: 20 }'


@pytest.mark.parametrize("random", [0.0, 0.25, 0.99])
def test_an_end_that_was_announced_is_no_failure_and_all_come_back_spread(random: float):
    steps = f"say(delta); say({LEAVING}); live.socket.onclose();"
    found = play(steps, random)
    assert found["waits"] == [random * 20_000]
    assert found["failures"] == 0
    assert found["messages"] == [{"type": "delta", "as_of": 5, "filter": {}}]
    # It holds for one end: what is lost next counts again.
    again = play(steps + "await live.connect(); live.socket.onclose();", random)
    assert again["waits"][1] == 1_000 * (0.5 + random / 2)
    assert again["failures"] == 1


def test_an_end_that_was_not_announced_is_a_failure():
    found = play("say(delta); live.socket.onclose(); await live.connect(); live.socket.onclose();")
    assert found["waits"] == [750, 1_500]
    assert found["failures"] == 2


def test_a_slower_pace_is_shown_and_is_not_taken_for_silence():
    slow = 'say({ type: "announce", reason: "degraded", refresh_seconds: 10 });'
    quiet = "now += 16_000; live.watch();"
    assert play(slow + "say(delta);" + quiet)["states"][-1] == {"state": "live", "every": 10_000}
    later = "now += 5_000; live.watch();"
    assert play(slow + "say(delta);" + quiet + later)["states"][-1]["state"] == "stale"
    usual = 'say({ type: "announce", reason: "normal", refresh_seconds: 2 });'
    assert play(slow + usual + "say(delta);")["states"][-1] == {"state": "live"}
    assert play("say(delta);" + quiet)["states"][-1]["state"] == "stale"


def test_kinds_of_messages_that_it_does_not_know_are_left_out():
    found = play('say(delta); say({ type: "news" }); say({ type: "announce", reason: "tea" });')
    assert len(found["messages"]) == 1
