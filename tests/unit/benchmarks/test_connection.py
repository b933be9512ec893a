"""One connection's answers, whole in any pieces; and what happens when it breaks."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.connection import Answers, Connection


@given(st.lists(st.integers(1, 40), max_size=8))
def test_an_answer_in_any_pieces_is_whole(cuts: list[int]):
    text = b"HTTP/1.1 202 Accepted\r\nContent-Length: 9\r\nX: y\r\n\r\n123456789"

    async def ask() -> tuple[int, bytes]:
        connection = Answers()
        connection.connection_made(Transport())
        answer = connection.ask(b"", b"")
        rest = text
        for size in cuts:
            connection.data_received(rest[:size])
            rest = rest[size:]
            assert answer.done() == (not rest)
            if not rest:
                break
        else:
            connection.data_received(rest)
        return await answer

    assert asyncio.run(ask()) == (202, b"123456789")


def test_a_broken_connection_is_told_and_the_next_request_opens_another():
    async def talk() -> list[tuple[int, bytes]]:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if await reader.readuntil(b"?") != b"break?":
                writer.write(b"HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\nok")
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        connection = Connection("127.0.0.1", server.sockets[0].getsockname()[1])
        found = [await connection.ask(b"one", b"?")]
        with pytest.raises(ConnectionResetError):
            await connection.ask(b"break", b"?")
        found.append(await connection.ask(b"two", b"?"))
        connection.close()
        server.close()
        return found

    assert asyncio.run(talk()) == [(202, b"ok")] * 2


class Transport:
    """Takes what is written."""

    def writelines(self, data: tuple[bytes, ...]) -> None:
        assert data
