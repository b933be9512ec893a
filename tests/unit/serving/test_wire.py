"""The outgoing side of a WebSocket."""

import socket
from collections.abc import Iterator
from types import SimpleNamespace

import gevent.socket
import pytest
from gevent.event import Event
from simple_websocket import ConnectionClosed
from wsproto.frame_protocol import FrameProtocol

from serving import wire
from serving.wire import Wire, text_frame


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536, 200_000])
def test_a_frame_is_read_back_by_wsproto(size: int):
    reader = FrameProtocol(client=True, extensions=[])
    reader.receive_bytes(text_frame(b"x" * size))
    assert "".join(str(frame.payload) for frame in reader.received_frames()) == "x" * size
    assert wire.payload_of(text_frame(b"x" * size)) == b"x" * size


Pair = tuple[Wire, SimpleNamespace, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """A wire, the server it is of, and the client's end."""
    ours, theirs = gevent.socket.socketpair()
    with ours, theirs:
        server = SimpleNamespace(sock=ours, connected=True, event=Event())
        line = Wire(server)
        yield line, server, theirs
        line.release()


def test_all_is_written_to_a_reader(pair: Pair):
    line, _, theirs = pair
    got = bytearray()

    def read() -> None:
        while len(got) < 1_000_000:
            got.extend(theirs.recv(65_536))

    reader = gevent.spawn(read)
    assert line.send(b"y" * 1_000_000) == 1_000_000
    reader.join(10)
    assert len(got) == 1_000_000


def test_one_that_does_not_read_is_given_up(pair: Pair, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(wire, "SEND_SECONDS", 0.2)
    line, server, _ = pair
    with pytest.raises(ConnectionClosed):
        line.send(b"z" * 50_000_000)
    assert not server.connected


def test_a_silent_one_is_pinged_and_then_given_up(pair: Pair, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(wire, "PING_SECONDS", 0.0)
    line, server, theirs = pair
    line.keep_alive()
    assert theirs.recv(10) == b"\x89\x00"
    monkeypatch.setattr(wire, "SILENT_SECONDS", -1.0)
    with pytest.raises(ConnectionClosed):
        line.keep_alive()
    assert not server.connected


def test_a_frame_is_pushed_at_once(pair: Pair):
    line, server, theirs = pair
    assert line.push(b"one")
    assert theirs.recv(10) == b"one"
    assert line.sent == 3
    assert not server.event.is_set()


def test_what_a_push_could_not_write_goes_first(pair: Pair):
    line, server, theirs = pair
    large = bytes(range(250)) * 40_000
    assert line.push(large)
    assert server.event.is_set()  # its greenlet is asked to flush
    assert not line.push(b"overtaken")
    got = bytearray()

    def read() -> None:
        while not got.endswith(b"next"):
            got.extend(theirs.recv(65_536))

    reader = gevent.spawn(read)
    line.flush()
    line.send(b"next")
    reader.join(10)
    assert got == large + b"next"
    assert line.sent == len(large) + 4
    assert line.push(b"more")
    assert theirs.recv(10) == b"more"


def test_nothing_is_pushed_between_the_parts_of_another_message(pair: Pair):
    line, _, theirs = pair
    writer = gevent.spawn(line.send, b"x" * 10_000_000)
    gevent.sleep(0.05)
    assert not line.push(b"between")
    left = 10_000_000
    while left:
        left -= len(theirs.recv(min(left, 1_000_000)))
    writer.join(10)
    assert line.push(b"after")
    assert theirs.recv(10) == b"after"


def test_nothing_is_pushed_to_one_that_is_full_or_gone(pair: Pair):
    line, _, _ = pair
    while line.push(b"y" * 100_000) and not line._rest:
        pass
    assert not line.push(b"more")
    line.abort()
    line._rest = b""
    assert not line.push(b"more")
