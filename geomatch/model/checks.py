"""What every type of the model checks about itself when it is made."""

from __future__ import annotations

import math
from enum import StrEnum

from geomatch.errors import BadInput


def check_id(text: str, name: str) -> None:
    if not isinstance(text, str) or not 1 <= len(text) <= 254 or not text.isprintable():
        raise BadInput(f"{name} must be 1 to 254 printable characters")


def check_words(words: tuple[str, ...], name: str) -> None:
    if isinstance(words, str) or len(words) > 64:
        raise BadInput(f"{name} must be a list of at most 64 words")
    for word in words:
        check_id(word, f"each of {name}")


def check_course(course_deg: float | None, name: str) -> None:
    if course_deg is not None and not (math.isfinite(course_deg) and 0.0 <= course_deg <= 360.0):
        raise BadInput(f"{name}: course_deg must be between 0 and 360, clockwise from north")


def member(kind: type[StrEnum], value: str, name: str) -> StrEnum:
    try:
        return kind(value)
    except ValueError:
        raise BadInput(f"{name} must be one of {', '.join(kind)}") from None
