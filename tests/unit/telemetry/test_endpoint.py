"""/metrics of a process: on a port of its own, once, and never at the price of the work."""

import logging
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise

import pytest
from prometheus_client.parser import text_string_to_metric_families

from deploy.ports import HOST, free_port
from telemetry import endpoint, metrics
from telemetry.endpoint import NOWHERE, Endpoint


@pytest.fixture
def shown() -> Iterator[Endpoint]:
    found = Endpoint("collector", HOST, free_port())
    yield found
    found.close()


def get(port: int | None, path: str = "/metrics") -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, ""


def test_the_metrics_of_its_program_and_no_other(shown: Endpoint) -> None:
    status, text = get(shown.open())
    assert status == 200
    names = {family.name for family in text_string_to_metric_families(text)}
    listed = {meter.name.removesuffix("_total") for meter in metrics.COLLECTOR.meters}
    assert listed <= names
    assert all(name.startswith(("streamlens_collector_", "process_")) for name in names)


def test_nothing_else_is_there(shown: Endpoint) -> None:
    port = shown.open()
    assert [get(port, path)[0] for path in ("/", "/metrics/x", "/healthz")] == [404] * 3
    assert get(port, "/metrics?name[]=streamlens_collector_held_events")[0] == 200


def test_once_per_process(shown: Endpoint) -> None:
    assert shown.open() == Endpoint(*vars(shown).values()).open()


def test_a_port_that_is_taken_is_passed_over(shown: Endpoint) -> None:
    with socket.socket() as other:
        other.bind((HOST, shown.port))
        other.listen()
        port = shown.open()
    assert port is not None
    assert shown.port < port < shown.port + endpoint.SPAN
    assert get(port)[0] == 200


def test_without_a_free_port_it_is_said_and_the_work_goes_on(
    shown: Endpoint, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(endpoint, "SPAN", 2)
    with ExitStack() as taken:
        for port in (shown.port, shown.port + 1):
            other = taken.enter_context(socket.socket())
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                other.bind((HOST, port))
            except OSError:
                continue  # somebody else has it, which is as good
            other.listen()
        assert shown.open() is None
        assert shown.open() is None
    lines = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert len(lines) == 1
    assert f"ports {shown.port} to {shown.port + 1} of {HOST}" in lines[0].getMessage()


@pytest.mark.parametrize("host", ["192.0.2.1", "no such host"])
def test_an_address_that_is_not_ours(host: str, caplog: pytest.LogCaptureFixture) -> None:
    assert Endpoint("job", host, 9440).open() is None
    assert "the work goes on" in caplog.text


def test_zero_is_off_and_the_default_is_this_machine() -> None:
    assert NOWHERE.open() is None
    assert Endpoint("job").host == "127.0.0.1"


def test_the_last_port(caplog: pytest.LogCaptureFixture) -> None:
    last = Endpoint("job", HOST, 65_535)
    assert last.open() in (65_535, None)  # never an OverflowError
    last.close()


def test_ranges_of_programs_do_not_meet() -> None:
    first = sorted((endpoint.COLLECTOR_PORT, endpoint.SERVICE_PORT, endpoint.JOB_PORT))
    assert all(b - a >= endpoint.SPAN for a, b in pairwise(first))
