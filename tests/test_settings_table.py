"""What `geomatch settings` tells is what the types say: every setting, explained, and its real default."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated

from annotated_types import Ge, Le

from geomatch.cli import main
from geomatch.service.settings import Settings
from geomatch.service.settings_table import rows


class Colour(StrEnum):
    red = "red"
    blue = "blue"


@dataclass(frozen=True)
class Inner:
    paint: Mapping[Colour, float] = field(default_factory=lambda: {Colour.red: 2.0})
    """How much of
    each."""


@dataclass(frozen=True)
class Outer:
    name: str
    """Must be given."""
    count: Annotated[int, Ge(1), Le(9)] = 3
    inner: Inner = field(default_factory=Inner)
    many: tuple[Inner, ...] = ()


def test_a_type_is_told_in_words_with_limits_defaults_and_meanings():
    told = {row.name: (row.kind, row.default, row.meaning) for row in rows(Outer)}
    paint = ("number by one of red, blue", {"red": 2.0}, "How much of each.")
    assert told == {
        "name": ("text", None, "Must be given."),
        "count": ("whole number, at least 1, at most 9", 3, ""),
        "inner.paint": paint,
        "many[].paint": paint,
    }


def test_every_setting_of_the_service_is_explained_and_has_its_own_default(capsys):
    assert main(["settings", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert not [one["name"] for one in told if not one["meaning"]]
    assert not [one["name"] for one in told if "geomatch" in one["kind"] or "typing" in one["kind"]]
    for one in told:
        held = Settings()
        if "[]" in one["name"]:
            continue
        for part in one["name"].split("."):
            held = getattr(held, part)
        if not isinstance(held, int | float | str | None):
            held = json.loads(json.dumps(dict(held) if isinstance(held, Mapping) else list(held)))
        assert one["default"] == held, one["name"]


def test_the_list_is_read_by_people_too(capsys):
    assert main(["settings"]) == 0
    told = capsys.readouterr().out
    assert "max_body_bytes = 16777216\n    whole number. A longer body is refused with 413" in told
    assert "webhooks[].secret = no default" in told
