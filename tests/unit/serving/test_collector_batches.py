"""Batch ids, full buffers, a broker that is away, and the end."""

import asyncio
from typing import Any

from serving.ingest.settings import Settings
from tests.unit.serving.client import Client, event, events


def run(coroutine: Any) -> Any:
    return asyncio.run(asyncio.wait_for(coroutine, 20))


async def until(condition: Any, deadline: Any = 5.0) -> None:
    async with asyncio.timeout(deadline):
        while not condition():
            await asyncio.sleep(0.001)


BATCH = events(event(), 7, batch_id="b1")


def test_a_batch_sent_again_is_answered_and_not_produced():
    async def story() -> None:
        client = Client()
        first = await client.post(BATCH)
        second = await client.post(BATCH)
        assert first == second
        assert first.json["accepted"] == 1
        assert len(client.broker.messages) == 1

    run(story())


def test_a_batch_id_names_its_content():
    async def story() -> None:
        client = Client()
        await client.post(BATCH)
        other = await client.post(events(event(), event(), batch_id="b1"))
        assert other.json["accepted"] == 1
        assert len(client.broker.rows()) == 1

    run(story())


def test_other_batches_and_requests_without_an_id_are_no_repeats():
    async def story() -> None:
        client = Client()
        for batch_id in ("b1", "b2", None, None):
            await client.post(events(event(), batch_id=batch_id))
        assert len(client.broker.rows()) == 4

    run(story())


def test_a_repeat_while_the_first_is_under_way_gets_its_answer():
    async def story() -> None:
        client = Client()
        client.broker.hold = True
        first = asyncio.create_task(client.post(BATCH))
        await until(lambda: client.broker.held)
        second = asyncio.create_task(client.post(BATCH))
        await asyncio.sleep(0.02)
        assert not first.done()
        assert not second.done()
        client.broker.release()
        assert await first == await second
        assert len(client.broker.messages) == 1

    run(story())


def test_a_cancelled_repeat_does_not_disturb_the_first():
    async def story() -> None:
        client = Client()
        client.broker.hold = True
        first = asyncio.create_task(client.post(BATCH))
        await until(lambda: client.broker.held)
        second = asyncio.create_task(client.post(BATCH))
        await asyncio.sleep(0.01)
        second.cancel()
        client.broker.release()
        assert (await first).status == 202

    run(story())


def test_a_batch_that_failed_is_tried_again():
    async def story() -> None:
        client = Client()
        client.broker.down = True
        answers = await asyncio.gather(client.post(BATCH), client.post(BATCH))
        assert [a.code for a in answers] == ["broker_unavailable"] * 2
        client.broker.down = False
        assert (await client.post(BATCH)).json["accepted"] == 1
        assert len(client.broker.rows()) == 1

    run(story())


def test_without_the_memory_batches_are_accepted_with_the_same_key():
    async def story() -> None:
        client = Client()
        client.memory.away = True
        await client.post(events(event(), batch_id="b1"))
        await client.post(events(event(), batch_id="b1"))
        keys = [row["dedup_key"] for row in client.broker.rows()]
        assert keys[0] == keys[1]
        assert keys[0] % 2 == 1

    run(story())


def test_a_batch_with_nothing_accepted_is_not_kept():
    async def story() -> None:
        client = Client()
        assert (await client.post(events(7, batch_id="b1"))).json["accepted"] == 0
        assert client.memory.replies == {}

    run(story())


def test_a_broker_that_is_away_is_a_503_with_a_time_to_wait():
    async def story() -> None:
        client = Client()
        client.broker.down = True
        answer = await client.post(events(event()))
        assert (answer.status, answer.code) == (503, "broker_unavailable")
        assert int(answer.headers["retry-after"]) > 0
        client.broker.down = False
        client.broker.count = 0  # it has never answered
        assert (await client.post(events(event()))).code == "broker_unavailable"
        assert (client.app.budget.events, client.app.budget.bytes) == (0, 0)

    run(story())


def test_a_full_buffer_is_a_503_and_nothing_of_the_request_is_taken():
    async def story() -> None:
        client = Client(settings=Settings(linger_ms=1, max_buffered_events=3))
        client.broker.hold = True
        two = [event(user_id="a"), event(user_id="b")]
        first = asyncio.create_task(client.post(events(*two)))
        await until(lambda: client.app.budget.events == 2)
        answer = await client.post(events(*two))
        assert (answer.status, answer.code) == (503, "buffer_full")
        assert int(answer.headers["retry-after"]) > 0
        await until(lambda: len(client.broker.held) == len(client.broker.messages) > 0)
        await asyncio.sleep(0.01)
        client.broker.release()
        assert (await first).json["accepted"] == 2
        client.broker.hold = False
        assert (await client.post(events(*two))).json["accepted"] == 2
        assert len(client.broker.rows()) == 4

    run(story())


def test_bodies_under_way_count_as_held():
    async def story() -> None:
        client = Client(settings=Settings(max_buffered_bytes=1_000))
        slow = asyncio.create_task(client.post([b" " * 900], stall=True))
        await until(lambda: client.app.budget.bytes == 900)
        assert (await client.post(events(event(url="x" * 300)))).code == "buffer_full"
        slow.cancel()
        await asyncio.wait([slow])
        assert client.app.budget.bytes == 0

    run(story())


def test_a_batch_fills_before_the_linger_ends():
    async def story() -> None:
        client = Client(settings=Settings(linger_ms=60_000, batch_events=2))
        answer = await client.post(events(event(), event()))
        assert answer.json["accepted"] == 2

    run(story())


def test_rows_that_make_a_message_too_large_go_in_the_next():
    async def story() -> None:
        client = Client(settings=Settings(linger_ms=20))
        big = events(*(event(props={str(n): "x" * 1_000 for n in range(30)}) for _ in range(30)))
        answers = await asyncio.gather(*(client.post(big) for _ in range(5)))
        assert [a.json["accepted"] for a in answers] == [30] * 5
        assert sorted(int(dict(m.headers)["count"]) for m in client.broker.messages) == [60, 90]

    run(story())


def test_rows_that_cannot_be_encoded_keep_nobody_waiting(monkeypatch):
    async def story() -> None:
        client = Client()
        monkeypatch.setattr("serving.ingest.buffers.columns_of", None)
        assert (await client.post(events(event()))).code == "broker_unavailable"
        assert client.app.budget.events == 0

    run(story())


def test_the_end_finishes_what_was_taken_and_takes_no_more():
    async def story() -> Any:
        client = Client(settings=Settings(linger_ms=60_000))
        waiting = asyncio.create_task(client.post(events(event())))
        await until(lambda: client.app.budget.events == 1)
        said: list[str] = []
        life = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

        async def receive() -> Any:
            return life.pop(0)

        async def send(message: Any) -> None:
            said.append(message["type"])

        await client.app({"type": "lifespan"}, receive, send)
        assert (await waiting).json["accepted"] == 1
        assert said == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
        assert client.broker.stopped
        assert client.memory.stopped
        answer = await client.post(events(event()))
        assert (answer.status, answer.code) == (503, "shutting_down")
        assert "retry-after" in answer.headers
        assert (await client.request("GET", "/readyz")).status == 503
        assert len(client.broker.rows()) == 1

    run(story())
