"""The written cases of tests/agreement_cases, each one a sentence of law."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
import shapely
from aid_world import EAST, NOON, WEST, crew, decide, request, towns, unit
from pydantic import TypeAdapter

from geomatch.aid.agreements import Agreement
from geomatch.aid.approval import Asked
from geomatch.aid.jurisdictions import AreaRule
from geomatch.aid.quotas import Lent, Quotas
from geomatch.model import Urgency
from geomatch.quantities import XY

FOLDER = Path(__file__).parent / "agreement_cases"
CASES = [
    pytest.param(case, id=f"{path.stem}: {case['says']}")
    for path in sorted(FOLDER.glob("*.toml"))
    for case in tomllib.loads(path.read_text(encoding="utf-8"))["case"]
]
PLAIN = {
    "id": "east-to-west",
    "version": 1,
    "title": "East helps west",
    "status": "active",
    "provider_agency": EAST,
    "receiver_agency": WEST,
    "mode": "automatic",
    "legal_basis": {"kind": "mou", "citation": "MOU of 2024", "clause": "s. 1"},
    "authority": "full",
}


def test_there_are_enough_cases():
    assert len(CASES) >= 60
    assert len({case.id for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES)
def test_the_case_is_decided_as_written(case):
    known = {
        "says",
        "agreements",
        "stop",
        "unit",
        "others",
        "lent",
        "asked",
        "layers",
        "authority_m",
        "eta_s",
        "expect",
    }
    assert set(case) <= known
    eta_ms = round(case["eta_s"] * 1000) if "eta_s" in case else None
    units, verdicts = decided(case)
    slot = units.slots["e1"]
    verdict = verdicts.of(slot, eta_ms=eta_ms)
    expected = dict(case["expect"])
    change = expected.pop("change", None)
    wait_s = expected.pop("wait_s", None)
    said = {name: getattr(verdict, name) for name in expected}
    assert said == {name: tuple(value) if isinstance(value, list) else value for name, value in expected.items()}
    assert change is None or change in (verdict.what_would_change or "")
    assert wait_s is None or verdicts.request_ms[slot] == wait_s * 1000
    late = eta_ms is not None and verdicts.max_eta_ms is not None and eta_ms > verdicts.max_eta_ms[slot]
    assert (verdicts.codes[slot] == 0 and not late) == (verdict.decision != "ineligible")
    assert verdict.decision in ("eligible", "eligible_notify") or verdict.what_would_change


def decided(case):
    rows = json.dumps(
        [PLAIN | changes for changes in case.get("agreements", [{}])], default=lambda time: time.isoformat()
    )
    agreements = TypeAdapter(list[Agreement]).validate_json(rows, strict=True)
    people = [dict(person) for person in (case.get("unit", {}), *case.get("others", []))]
    spots = [person.pop("at", (1500, 500)) for person in people]
    words = [person.pop("availability", "available") for person in people]
    units = crew(
        *(unit(person.pop("id", "e1"), person.pop("agency", EAST), **words_of(person)) for person in people),
        availability=words,
        at=spots,
    )
    stop = dict(case.get("stop", {}))
    asked = {name: Asked(**times(answers)) for name, answers in case.get("asked", {}).items()}
    wanted = request(
        agency=stop.pop("agency", WEST) or None,
        at=XY(*map(float, stop.pop("at", (500, 500)))),
        now=stop.pop("time").timestamp() if "time" in stop else NOON,
        urgency=Urgency(stop.pop("urgency", "routine_backup")),
        asked=asked,
        **stop,
    )
    lent = [
        Lent(agreement="east-to-west", version=1, provider=EAST, receiver=WEST, taken_at=NOON - 600, **other)
        for other in ({name: value for name, value in one.items() if name != "version"} for one in case.get("lent", []))
    ]
    authority = {agency: AreaRule(buffer_m=metres) for agency, metres in case.get("authority_m", {}).items()}
    layers = {name: drawn(shape) for name, shape in case.get("layers", {}).items()}
    return units, decide(
        agreements, wanted, units, quotas=Quotas(lent).view(), jurisdictions=towns(authority), layers=layers
    )


def words_of(person):
    return {name: tuple(value) if isinstance(value, list) else value for name, value in person.items()}


def times(answers):
    return words_of(answers) | {"asked_at": answers["asked_at"].timestamp()}


def drawn(shape):
    """Four numbers are a square, points are a line."""
    return shapely.box(*shape) if isinstance(shape[0], (int, float)) else shapely.LineString(shape)
