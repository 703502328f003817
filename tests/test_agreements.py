"""Agreements as files: what is read, what is refused and where, who signed, and what a draft would have done."""

from __future__ import annotations

import random
import re
from base64 import b64encode
from dataclasses import fields, is_dataclass, replace
from pathlib import Path

import pytest
from aid_world import EAST, NOON, WEST, grant
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from geomatch.aid import clauses
from geomatch.aid.agreement_files import read_agreements
from geomatch.aid.agreements import Agreement, Agreements, in_force
from geomatch.aid.clauses import Drawn, Effective, Geography, Mode, Signoff, Stage
from geomatch.aid.signoff import missing_signoffs, read_keys, sign, signed_by, terms
from geomatch.aid.simulation import simulate
from geomatch.errors import BadInput, BadMap
from geomatch.quantities import parse_time

FULL = """format = 1

[[area]]
name = "bridge"
line = [
  [-100.01, 44.5],
  [-99.99, 44.5],
]

[[agreement]]
id = "east-to-west"
version = 3
title = "East helps west"
status = "active"
provider_agency = "east.example"
receiver_agency = "west.example"
reciprocal_with = "west-to-east"
mode = "on_request"
authority = "assist_only"
authority_within = "provider_authority"
effective = { starts = 2026-01-01T00:00:00-06:00, ends = 2028-01-01T00:00:00-06:00 }
review_due = 2027-06-30
request_latency_s = { p50 = 45, p90 = 90 }
tier = 2
handover = "on_home_arrival"
command = "host"
radio = { channel = "MA-1", interop = "8CALL90" }
disclosure = { position = "blurred", blur_m = 500, status = true }
notifications = [{ to = "watch commander", fields = ["unit", "eta"] }]
ledger = { track = true, unit = "unit_seconds", settle = "P3M" }

[agreement.legal_basis]
kind = "mou"
citation = "Metro MOU 2024"
clause = "s. 4(2)"
clause_text = '''
The provider may, on request,
send units.'''
url = "https://example.org/mou"

[agreement.triggers]
urgency = ["urgent_backup", "officer_emergency"]
apco_types = ["TSTOP"]
internal_types = ["T"]
priority_min = 5
self_initiated_ok = false
officer_emergency_override = true

[agreement.geography]
incident_in = ["receiver", "area:bridge"]
buffer_m = 250
max_from_boundary_m = 3000
corridor = { along = "area:bridge", width_m = 100 }
provider_unit_in = ["provider"]
exclude = ["layer:campus"]

[agreement.time]
windows = [
  { days = ["fri", "sat"], opens = "22:00", closes = 06:00:00, zone = "America/Chicago" },
  { rrule = "FREQ=MONTHLY;BYDAY=1SA", first = 2026-01-01, zone = "America/Chicago" },
]
blackout = [{ first = 2026-07-04, last = 2026-07-04, zone = "America/Chicago" }]

[agreement.capabilities]
allowed = ["DrugK9"]
denied = ["SWAT"]
min_officers_per_unit = 1

[agreement.limits]
max_units_per_incident = 2
max_units_at_once = 3
max_share_on_duty = 0.5
max_eta_s = 900
max_commit_s = 7200

[agreement.home_cover]
min_units = 2
min_officers = 3
min_per_beat = { "East 1" = 1 }
min_capability = { DrugK9 = 1 }
count_statuses = ["available"]

[agreement.approval]
needed = "both"
approver_role = "shift supervisor"
timeout_s = 300
on_timeout = "escalate"
escalate_to = "area coordinator"
wait_s = { p50 = 120, p90 = 240 }

[[agreement.signoffs]]
agency = "east.example"
signature = "AAAA"

[[agreement]]
id = "west-to-east"
version = 1
title = "West helps east"
status = "draft"
provider_agency = "west.example"
receiver_agency = "east.example"
mode = "automatic"
authority = "full"
legal_basis = { kind = "mou", citation = "Metro MOU 2024" }
"""


def written(tmp_path: Path, text: str, name="papers.toml") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def line_of(text: str, words: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), start=1) if words in line)


def test_every_field_of_an_agreement_can_be_written(tmp_path):
    """The file above says them all: each field of every clause differs from what silence would mean, or is named."""
    agreements = read_agreements([written(tmp_path, FULL)])
    full = agreements.of(EAST, WEST)[0]
    kinds = [
        Agreement,
        *(kind for kind in vars(clauses).values() if is_dataclass(kind) and "geomatch" in kind.__module__),
    ]
    unsaid = [field.name for kind in kinds for field in fields(kind) if field.name not in FULL]
    assert unsaid == ["polygon"]
    assert full.effective.starts == parse_time("2026-01-01T06:00:00Z")
    assert full.home_cover.min_per_beat == {"East 1": 1}
    assert full.time.windows[0].closes.hour == 6
    assert full.key == "east-to-west@3"
    assert agreements.of(WEST, EAST)[0].status == Stage.draft
    assert agreements.of(WEST, "north.example") == ()


FAULTS = {
    "an unknown field": ("max_units_at_once = 3", "max_unit_at_once = 3", "did you mean 'max_units_at_once'"),
    "a limit of nobody": ("max_units_at_once = 3", "max_units_at_once = 0", "greater than or equal to 1"),
    "a number in quotes": ("max_units_at_once = 3", 'max_units_at_once = "3"', "valid integer"),
    "yes for a number": ("max_units_at_once = 3", "max_units_at_once = true", "valid integer"),
    "a share above one": ("max_share_on_duty = 0.5", "max_share_on_duty = 50.0", "less than or equal to 1"),
    "no number": ("buffer_m = 250", "buffer_m = nan", "finite"),
    "a negative buffer": ("buffer_m = 250", "buffer_m = -1", "greater than or equal to 0"),
    "an unknown mode": ('mode = "on_request"', 'mode = "sometimes"', "'automatic', 'notify_only'"),
    "an unknown urgency": ('"urgent_backup", "officer_em', '"backup", "officer_em', "'routine_backup'"),
    "an unknown area": ('incident_in = ["receiver", ', 'incident_in = ["west", ', "names no area"),
    "an area drawn nowhere": ('along = "area:bridge"', 'along = "area:birdge"', "did you mean 'bridge'"),
    "a time without offset": ("ends = 2028-01-01T00:00:00-06:00", "ends = 2028-01-01T00:00:00", "offset"),
    "an end before the start": ("ends = 2028", "ends = 2025", "ends before it starts"),
    "a start at half a minute": ("starts = 2026-01-01T00:00:00", "starts = 2026-01-01T00:00:30", "whole minutes"),
    "an unknown zone": ('closes = 06:00:00, zone = "America/Chicago"', 'zone = "Chicago"', "IANA"),
    "a rule of hours": ("FREQ=MONTHLY;BYDAY=1SA", "FREQ=HOURLY", "FREQ must be"),
    "a wait that shrinks": ("p50 = 45, p90 = 90", "p50 = 45, p90 = 30", "p90 is below p50"),
    "nobody to escalate to": ('escalate_to = "area coordinator"', 'escalate_to = ""', "needs approval.escalate_to"),
    "no timeout": ("timeout_s = 300\n", "\n", "how long may the receiver be left waiting"),
    "a blur without metres": (", blur_m = 500", "", "go together"),
    "a version of nothing": ("version = 3", "version = 0", "greater than or equal to 1"),
    "itself": ('receiver_agency = "west.example"\nrec', 'receiver_agency = "east.example"\nrec', "are the same"),
    "no way back": ('reciprocal_with = "west-to-east"', 'reciprocal_with = "west-to-north"', "no agreement"),
    "not the way back": ('reciprocal_with = "west-to-east"', 'reciprocal_with = "east-to-west"', "is not the way back"),
    "a period of no kind": ('settle = "P3M"', 'settle = "quarterly"', "ISO 8601"),
    "two shapes": ("line = [", "polygon = [[[0.0, 0.0], [1.0, 0.0], [0.0, 0.0]]]\nline = [", "polygon or a line"),
    "a missing field": ('citation = "Metro MOU 2024"\nclause', "clause", "is missing"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_told_with_file_line_and_field(tmp_path, fault):
    right, wrong, said = FAULTS[fault]
    assert right in FULL
    text = FULL.replace(right, wrong, 1)
    with pytest.raises(BadMap) as raised:
        read_agreements([written(tmp_path, text)])
    message = str(raised.value)
    assert said in message
    assert "papers.toml, line " in message
    told = int(re.search(r"line (\d+)", message)[1])
    field = re.search(r"line \d+, ([^:]+):", message)[1]
    line = text.splitlines()[told - 1]
    # The line is that of the field, or where its table begins: the innermost thing the fault is of.
    assert field.rpartition(".")[2] in line or line.startswith(("[[", "["))
    assert "\n" not in message


@given(seed=st.integers(0, 10_000), blank=st.integers(0, 3))
def test_the_line_is_right_wherever_the_fault_stands(tmp_path_factory, seed, blank):
    """One field of one of many agreements is spoilt; comments, blank lines and long values lie between."""
    choice = random.Random(seed)
    plain = FULL[FULL.rindex("[[agreement]]") :]
    papers = [
        "# it says [[agreement]] here\n" * choice.randrange(3)
        + "\n" * blank
        + plain.replace("west-to-east", f"w{n}").replace('"West helps east"', "'''\nWest\nhelps\n'''")
        for n in range(choice.randrange(1, 9))
    ]
    spoilt = choice.randrange(len(papers))
    papers[spoilt] = papers[spoilt].replace('authority = "full"', 'authority = "some"')
    text = "format = 1\n" + "".join(papers)
    path = written(tmp_path_factory.mktemp("papers"), text)
    with pytest.raises(BadMap, match=rf"line {line_of(text, 'some')}, agreement.authority: must be 'full'"):
        read_agreements([path])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1, format: must be 1"),
        ("format = 2", "line 1, format: must be 1"),
        ("format = 1\n[agreement]\nid = 'x'", "line 2, agreement: is one table; write [[agreement]]"),
        ("format = 1\n\n[[agreements]]\nid = 'x'", "line 3, agreements: is not known here"),
        ("format = ", "is not TOML"),
        ("format = 1\nx = " + "[" * 5000, "is not TOML"),
    ],
)
def test_what_is_no_agreement_file_is_refused(tmp_path, text, said):
    with pytest.raises(BadMap) as raised:
        read_agreements([written(tmp_path, text)])
    assert said in str(raised.value)


def test_what_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(BadMap, match="cannot be read"):
        read_agreements([tmp_path / "nowhere.toml"])
    with pytest.raises(BadMap, match=r"holds no \.toml file"):
        read_agreements([tmp_path])
    latin = tmp_path / "latin.toml"
    latin.write_bytes("title = 'Malmö'".encode("latin-1"))
    with pytest.raises(BadMap, match="UTF-8"):
        read_agreements([latin])


def test_an_agency_that_is_on_no_map_is_refused(tmp_path):
    path = written(tmp_path, FULL)
    assert len(read_agreements([path], known_agencies=[EAST, WEST])) == 2
    with pytest.raises(BadMap, match=r"line \d+, agreement.provider_agency: 'east.example' .*did you mean"):
        read_agreements([path], known_agencies=["eats.example", WEST])


def test_a_folder_stands_for_its_files_and_the_same_twice_is_once(tmp_path):
    written(tmp_path, FULL, "a.toml")
    written(tmp_path, FULL, "b.toml")
    assert len(read_agreements([tmp_path])) == 2
    written(tmp_path, FULL.replace("max_units_at_once = 3", "max_units_at_once = 4"), "b.toml")
    with pytest.raises(BadMap, match="raise the version"):
        read_agreements([tmp_path])


def test_versions_of_one_id_are_between_the_same_agencies():
    with pytest.raises(BadInput, match="different agencies"):
        Agreements([grant(), grant(version=2, provider_agency="north.example")])


@given(
    st.lists(
        st.tuples(st.integers(1, 4), st.sampled_from(Stage), st.sampled_from([None, -1, 0, 1])),
        max_size=4,
        unique_by=lambda row: row[0],
    )
)
def test_at_most_one_version_of_an_agreement_is_in_force(rows):
    papers = [
        grant(version=version, status=stage, effective=Effective(starts=None if start is None else NOON + 60 * start))
        for version, stage, start in rows
    ]
    begun = [p for p in papers if p.status != Stage.draft and (p.effective.starts or 0) <= NOON]
    newest = max(begun, key=lambda p: p.version, default=None)
    expected = [newest] if newest is not None and newest.status == Stage.active else []
    assert in_force(papers, NOON) == expected


# Signatures

PRIVATE = {EAST: bytes(range(32)), WEST: bytes(range(1, 33))}
KEYS = {
    agency: Ed25519PrivateKey.from_private_bytes(key).public_key().public_bytes_raw() for agency, key in PRIVATE.items()
}
BRIDGE = {"bridge": Drawn(name="bridge", line=((0.0, 0.0), (1.0, 0.0)))}
PAPER = grant(geography=Geography(incident_in=("area:bridge",)))


def signed(paper, *agencies, areas=BRIDGE):
    return replace(paper, signoffs=tuple(Signoff(agency=a, signature=sign(paper, areas, PRIVATE[a])) for a in agencies))


def test_both_agencies_sign_the_same_terms():
    assert missing_signoffs(PAPER, BRIDGE, KEYS) == (EAST, WEST)
    assert missing_signoffs(signed(PAPER, WEST), BRIDGE, KEYS) == (EAST,)
    assert missing_signoffs(signed(PAPER, WEST, EAST), BRIDGE, KEYS) == ()


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"mode": Mode.prohibited},
        {"provider_agency": "north.example"},
        {"limits": clauses.Limits(max_units_at_once=1)},
        {"home_cover": clauses.HomeCover(min_per_beat={"1": 1})},
        {"effective": Effective(ends=NOON + 60)},
    ],
)
def test_a_signature_is_under_every_word(change):
    assert signed_by(replace(signed(PAPER, EAST, WEST), **change), BRIDGE, KEYS) == ()


def test_a_signature_is_under_the_area_as_it_is_drawn():
    moved = {"bridge": Drawn(name="bridge", line=((0.0, 0.0), (1.0, 0.001)))}
    assert signed_by(signed(PAPER, EAST, WEST), moved, KEYS) == ()


def test_suspending_needs_no_new_signature_and_a_prohibition_only_one():
    assert missing_signoffs(replace(signed(PAPER, EAST, WEST), status=Stage.suspended), BRIDGE, KEYS) == ()
    ban = replace(PAPER, mode=Mode.prohibited)
    assert missing_signoffs(ban, BRIDGE, KEYS) == (EAST, WEST)
    assert missing_signoffs(signed(ban, WEST), BRIDGE, KEYS) == ()


def test_one_agency_cannot_sign_for_the_other():
    forged = replace(PAPER, signoffs=(Signoff(agency=EAST, signature=sign(PAPER, BRIDGE, PRIVATE[WEST])),))
    assert signed_by(forged, BRIDGE, KEYS) == ()


def test_with_keys_an_active_agreement_must_be_signed_by_both(tmp_path):
    text = FULL.replace('"AAAA"', f'"{b64encode(b"x" * 64).decode()}"')
    with pytest.raises(BadMap, match=r"line \d+, agreement.signoffs: east.example and west.example did not sign"):
        read_agreements([written(tmp_path, text)], keys=KEYS)
    draft = text.replace('status = "active"', 'status = "draft"')
    assert len(read_agreements([written(tmp_path, draft)], keys=KEYS)) == 2


def test_keys_come_from_a_file(tmp_path):
    lines = "\n".join(f'"{agency}" = "{b64encode(key).decode()}"' for agency, key in KEYS.items())
    assert read_keys(written(tmp_path, "[keys]\n" + lines)) == KEYS
    for text, said in [("", "has no"), ("[keys]\n'a' = 'AAAA'", "32 bytes"), ("x", "no file of keys")]:
        with pytest.raises(BadMap, match=said):
            read_keys(written(tmp_path, text))


def test_terms_are_the_same_text_in_every_order_of_writing():
    paper = grant(home_cover=clauses.HomeCover(min_per_beat={"1": 1, "2": 2}))
    turned = grant(home_cover=clauses.HomeCover(min_per_beat={"2": 2, "1": 1}))
    assert terms(paper, {}) == terms(turned, {})


# A draft, tried out on a shift


def test_a_draft_is_tried_out_on_a_shift():
    """A made-up shift: each stop is the units that could come, in order, each with the grant it would need."""
    own = [("w1", None), ("w2", None)]
    stops = [
        [("e1", "draft"), *own],
        [("w1", None), ("e1", "draft"), ("e2", "draft")],
        own,
        [("n1", "other"), ("e1", "draft")],
    ]
    other = grant(id="other", provider_agency="north.example")
    draft = grant(id="draft", status=Stage.draft, effective=Effective(starts=NOON + 3600))

    def rank(agreements, stop):
        allowed = {paper.id for paper in in_force(agreements.all, NOON)}
        return [name for name, needs in stop if needs is None or needs in allowed]

    found = simulate(Agreements([other, draft]), draft, stops, rank)
    assert (found.stops, found.stops_changed, found.added, found.added_first, found.removed) == (4, 3, 4, 1, 0)
    assert found.sentence == "draft@1 would have added 4 candidates, 1 of them first, at 3 of 4 stops"
    stricter = replace(other, version=2, status=Stage.draft, mode=Mode.prohibited)

    def rank_unless_banned(agreements, stop):
        banned = {paper.id for paper in in_force(agreements.all, NOON) if paper.mode == Mode.prohibited}
        return [name for name, needs in stop if needs not in banned]

    gone = simulate(Agreements([other]), stricter, stops, rank_unless_banned)
    assert gone.sentence == "other@2 would have removed 1 candidate, 1 of them first, at 1 of 4 stops"
