"""Log lines: one JSON object each, whatever is said."""

import json
import logging
import re
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry import logs


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger, put back afterwards."""
    found = logging.getLogger()
    handlers, level = found.handlers[:], found.level
    yield found
    found.handlers[:] = handlers
    found.setLevel(level)


def record(message: str, *args: object, **more: object) -> logging.LogRecord:
    made = logging.LogRecord("some.module", logging.WARNING, __file__, 1, message, args, None)
    vars(made).update(more)
    return made


@given(st.text(st.characters()) | st.just("\udc80 lone"))
def test_one_line_of_json(message: str) -> None:
    text = logs.JsonFormatter().format(record("%s", message))
    assert text.splitlines() == [text] or "\n" not in text
    line = json.loads(text)
    assert list(line) == ["time", "level", "logger", "message"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", line["time"])
    assert (line["level"], line["logger"]) == ("WARNING", "some.module")
    assert line["message"] == message.encode("utf-8", "replace").decode()


def test_a_traceback_stays_on_its_line() -> None:
    try:
        raise ValueError("broken")
    except ValueError:
        failed = record("failed", exc_info=sys.exc_info())
    text = logs.JsonFormatter().format(failed)
    assert "\n" not in text
    assert json.loads(text)["traceback"].endswith("ValueError: broken")


def test_an_access_line_has_its_numbers_as_fields(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        logs.access("GET", "/v1/metrics", 200, 0.01234, 512)
    (said,) = caplog.records
    assert said.getMessage() == "GET /v1/metrics 200 12.3 ms 512 B"
    line = json.loads(logs.JsonFormatter().format(said))
    fields = {"method": "GET", "route": "/v1/metrics", "status": 200, "ms": 12.3, "bytes": 512}
    assert line.items() >= fields.items()


def test_configure_takes_the_place_of_what_was(
    root: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    for kind in logs.FORMATS:
        logs.configure(kind)
        logging.getLogger("x").info("hello %d", 1)
        logging.getLogger("x").debug("not this")
    text, line = capsys.readouterr().err.splitlines()
    assert text.endswith("INFO x hello 1")
    assert json.loads(line)["message"] == "hello 1"


def test_another_format_is_refused() -> None:
    with pytest.raises(ValueError, match="text, json"):
        logs.check("xml")
