"""Replies that are shared for a moment."""

import threading
import time

import pytest

from serving.replies import MAX_REPLIES, Replies


def test_a_reply_is_shared_until_it_is_old():
    now, calls = [0.0], []

    def make() -> bytes:
        calls.append(1)
        return str(len(calls)).encode()

    replies = Replies(2.0, lambda: now[0])
    assert replies.get("q", make) == b"1"
    now[0] = 1.9
    assert replies.get("q", make) == b"1"
    assert replies.get("other", make) == b"2"
    now[0] = 2.0
    assert replies.get("q", make) == b"3"


def test_all_who_wait_get_the_one_that_is_made():
    replies, calls, found = Replies(5.0), [], []

    def make() -> bytes:
        calls.append(1)
        time.sleep(0.1)
        return b"x"

    threads = [
        threading.Thread(target=lambda: found.append(replies.get("q", make))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert found == [b"x"] * 8
    assert len(calls) == 1


def test_a_failure_is_raised_and_not_kept():
    replies = Replies(5.0)

    def fail() -> bytes:
        raise LookupError("no")

    with pytest.raises(LookupError):
        replies.get("q", fail)
    assert replies.get("q", lambda: b"x") == b"x"


def test_room_is_bounded():
    replies = Replies(60.0)
    for i in range(3 * MAX_REPLIES):
        replies.get(i, lambda: b"x")
    assert len(replies._held) <= MAX_REPLIES
