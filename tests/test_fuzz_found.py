"""What fuzzing once found stays mended, and every target of it holds on its own samples."""

from __future__ import annotations

from pathlib import Path

import pytest
from fuzz_targets import targets

from geomatch.errors import BadInput
from geomatch.fleet.files import parse_json

TARGETS = targets()
FOUND = sorted((Path(__file__).parent / "fuzz_found").glob("*/*"))


@pytest.mark.parametrize("found", FOUND, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_was_found_once_is_refused_in_words(found):
    TARGETS[found.parent.name].run(found.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_every_target_holds_on_its_samples_whole_and_cut_off(name):
    for sample in TARGETS[name].samples:
        for length in {len(sample), len(sample) // 2, 1, 0}:
            TARGETS[name].run(sample[:length])


def test_a_target_notices_a_fault(monkeypatch):
    """Else none of this could fail."""
    monkeypatch.setattr("geomatch.feeds.values.optional_number", lambda *_: {}[1])
    with pytest.raises(KeyError):
        TARGETS["closures_wzdx"].run(TARGETS["closures_wzdx"].samples[0])


def test_half_a_character_whole_ones_and_other_encodings():
    assert parse_json(b'["\\ud83d\\ude93", "\\\\ud800"]') == ["\U0001f693", "\\ud800"]
    assert parse_json('\ufeff["é"]'.encode()) == ["é"]
    for raw in (b'"\\ud83d"', b'{"\\uDE93": 1}', b'"\xed\xa0\x80"', '["é"]'.encode("utf-16"), b"\xff"):
        with pytest.raises(BadInput, match="must be text in UTF-8"):
            parse_json(raw)
