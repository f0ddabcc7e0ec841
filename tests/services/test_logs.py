"""Log lines: one JSON object each, whatever is in it."""

import json
import logging

from services.logs import JsonFormatter


def formatted(message: str, **extra: object) -> dict[str, object]:
    record = logging.LogRecord("services.x", logging.INFO, __file__, 1, message, (), None)
    record.__dict__.update(extra)
    line = JsonFormatter("catenary-router").format(record)
    assert "\n" not in line
    loaded: dict[str, object] = json.loads(line)
    return loaded


def test_a_line_says_when_who_and_what() -> None:
    line = formatted("request", request_id="r-1", duration_s=0.25)
    assert line["message"] == "request"
    assert line["process"] == "catenary-router"
    assert line["logger"] == "services.x"
    assert line["level"] == "info"
    assert (line["request_id"], line["duration_s"]) == ("r-1", 0.25)
    assert str(line["time"]).endswith("Z")


def test_what_json_cannot_hold_is_written_as_text() -> None:
    assert formatted("x", odd={1}, bad="\ud800\n")["odd"] == "{1}"


def test_a_traceback_stays_on_the_line() -> None:
    error = ValueError("two\nlines")
    raised = (ValueError, error, None)
    record = logging.LogRecord("x", logging.ERROR, __file__, 1, "defect", (), raised)
    line = JsonFormatter("p").format(record)
    assert "\n" not in line
    assert "ValueError: two\nlines" in json.loads(line)["traceback"]
