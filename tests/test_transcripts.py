"""The promise of /v1: what was recorded is still answered, field by field and value by value; fields may be added."""

from __future__ import annotations

import copy
import json
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transcripts import FOLDER, asks_of, breaks, conversations, held

from geomatch.service.operations import OPERATIONS, SOCKET, Operations

TOPICS = sorted(path.stem for path in FOLDER.glob("*.json"))
ENDLESS = {"GET /v1/events", "GET /v1/stops/{stop_id:path}/events"}
NOT_JSON = {"GET /metrics", "GET /openapi.json"}


@cache
def transcript(topic: str) -> dict:
    return json.loads((FOLDER / f"{topic}.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("topic", TOPICS)
def test_what_was_recorded_is_answered_the_same(topic):
    """If it is meant to differ: python tests/transcripts.py --again, and say so where versions are told."""
    recorded = transcript(topic)
    for exchange, now in zip(recorded["exchanges"], held(asks_of(recorded)), strict=True):
        request = f"{exchange['request']['method']} {exchange['request']['path']}"
        assert not breaks(exchange["response"], now, request)


def test_what_is_recorded_is_what_would_be_recorded():
    asked = {topic: json.loads(json.dumps([vars(one) for one in asks])) for topic, asks in conversations().items()}
    assert {topic: [one["request"] for one in transcript(topic)["exchanges"]] for topic in TOPICS} == asked


def test_every_operation_is_promised():
    find = Operations().find
    requests = [exchange["request"] for topic in TOPICS for exchange in transcript(topic)["exchanges"]]
    promised = {found.name for one in requests if (found := find(one["method"], one["path"].partition("?")[0]))}
    assert promised == {one.name for one in OPERATIONS if one.method != SOCKET} - ENDLESS - NOT_JSON - LATER


LATER: set[str] = set()
"""Operations that nobody may rely on yet."""


# What counts as a break


def places(value, path=()):
    if isinstance(value, dict):
        for name, inner in value.items():
            yield (*path, name)
            yield from places(inner, (*path, name))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from places(inner, (*path, number))


ANSWER = transcript("rankings")["exchanges"][1]["response"]
PLACES = list(places(ANSWER))


def holder(answer, path):
    for step in path[:-1]:
        answer = answer[step]
    return answer


@given(st.sampled_from(PLACES), st.sampled_from(["added", "gone", "renamed", "retyped", "another value", "nothing"]))
def test_a_field_that_is_gone_renamed_or_another_is_a_break_and_an_added_one_is_none(path, change):
    now = copy.deepcopy(ANSWER)
    inside, name = holder(now, path), path[-1]
    value = inside[name]
    if change == "added":
        inside["quite_new"] = value
    elif change == "gone":
        del inside[name]
    elif change == "renamed":
        inside["quite_new"] = inside.pop(name)
    elif change == "retyped":
        inside[name] = [value] if not isinstance(value, list) else {}
    elif change == "another value":
        inside[name] = {bool: not value, int: 977, float: 0.977, str: f"{value}?", type(None): 0}.get(type(value), 977)
    found = breaks(ANSWER, now)
    reworded = change == "another value" and isinstance(value, str) and not breaks({name: "a"}, {name: "b"})
    assert bool(found) == (change not in {"added", "nothing"} and not reworded), found


def test_the_words_for_people_may_be_others_and_a_program_s_may_not():
    assert not breaks({"detail": "no unit"}, {"detail": "there is no such unit"})
    assert breaks({"detail": "no unit"}, {"detail": None})
    assert breaks({"type": "urn:a"}, {"type": "urn:b"}) == [".type is 'urn:b', not 'urn:a'"]
    assert breaks({"k": 1}, {"k": 1.0}) == [".k is float, not int"]
    assert breaks({"k": 1}, {"k": True})
    assert breaks([1], [1, 2])
    assert not breaks({"eta_s": 0.1 + 0.2}, {"eta_s": 0.3})
