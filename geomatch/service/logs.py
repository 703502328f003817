"""The log: a line a fact, as text for people or JSON for machines; never a position, never a secret."""

from __future__ import annotations

import json
import logging
import re
import sys
from enum import StrEnum

FIELDS = ("caller", "address", "operation", "outcome")
"""What a fact may carry beside its words. Nothing else of a record is written, so that nothing slips in with it."""
_SECRET = re.compile(r"gm1\.([a-z0-9_-]*)\.[\w-]+|eyJ[\w-]+\.[\w-]+\.[\w-]*|whsec_[\w+/=-]+")


class LogFormat(StrEnum):
    text = "text"
    json = "json"


def configure(form: LogFormat, *, level: int = logging.INFO) -> None:
    """Sends every record of the process to stderr, in this form."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if form is LogFormat.json else TextLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        from geomatch.quantities import format_time  # with NumPy, which the command line's help does without

        told = {
            "time": format_time(record.created), "level": record.levelname.lower(), "logger": record.name,
            "event": _clean(record.getMessage()), **_fields(record),
        }  # fmt: skip
        if record.exc_info:
            told["fault"] = _clean(_fault(record))
        return json.dumps(told, ensure_ascii=True)


class TextLines(logging.Formatter):
    """`geomatch: refused (caller cad, address 10.0.0.7, outcome wrong_key)`"""

    def format(self, record: logging.LogRecord) -> str:
        fields = ", ".join(f"{name} {value}" for name, value in _fields(record).items())
        # One line whatever comes in: a forged line would be a forged fact.
        words = _clean(record.getMessage()).replace("\n", " ").replace("\r", " ")
        line = f"geomatch: {words}{f' ({fields})' if fields else ''}"
        return f"{line}\n{_clean(_fault(record))}" if record.exc_info else line


def _fields(record: logging.LogRecord) -> dict[str, str]:
    return {name: _clean(str(getattr(record, name))) for name in FIELDS if getattr(record, name, "")}


def _fault(record: logging.LogRecord) -> str:
    """Where it went wrong, and what kind of fault. Not its message: it may repeat a value that it was about."""
    import traceback

    kind, _, trace = record.exc_info or (None, None, None)
    where = "".join(traceback.format_tb(trace)) if trace else ""
    return f"{where}{kind.__name__ if kind else ''}"


def _clean(text: str) -> str:
    return _SECRET.sub(lambda found: f"gm1.{found[1]}.***" if found[1] else "***", text)
