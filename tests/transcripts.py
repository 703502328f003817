"""Recorded conversations with the API, and what it means that an answer still is the one that was recorded.

    python tests/transcripts.py            # records those that are new
    python tests/transcripts.py --again    # records all of them anew: a break of the promise, for a new major version

An answer may gain fields. It may not lose one, nor name it otherwise, nor give it another type or another value; only
what is written for people may be put in other words.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

from doors import OPEN, OWN, SHY, WZDX, Service, full_matcher, samples  # noqa: E402 - found by the line above
from service_town import FAR_AWAY, NOW, SOUTH, STOP, WEST, osm_xml  # noqa: E402

from geomatch.quantities import format_time  # noqa: E402

FOLDER = HERE / "transcripts"
CALLERS = {"cad": (OWN,), "partner": (OPEN,), "centre": ("*",)}
VARIES = re.compile(r"[0-9a-f]{64}")
"""The hash of a region: of what was built, by this version."""
ANY = "<a hash>"
SENTENCES = frozenset(
    {"attribution", "description", "detail", "message", "responsibility", "sentence", "title", "what_would_change",
     "would_be"}
)  # fmt: skip
"""For people to read: that they are there is promised, and not their words."""


@dataclass(frozen=True)
class Ask:
    method: str
    path: str
    body: object = None
    caller: str | None = "cad"
    """None: nobody says who asks."""
    media: str = "application/json"


def new_service(folder: Path) -> tuple[Service, dict[str, str]]:
    """The small town with four agencies and what they agreed on, at one moment; and the callers' keys."""
    from geomatch.maps.network.expand import expand
    from geomatch.maps.osm.read import read_osm
    from geomatch.region import Region, write_region

    (folder / "town.osm").write_text(osm_xml(), encoding="utf-8")
    source = read_osm(folder / "town.osm")
    write_region(folder / "town", expand(source), name="town", attribution=source.attribution, report={})
    service = Service(full_matcher(Region.open(folder / "town")), folder)
    keys = {name: service.key(name, agencies=agencies) for name, agencies in CALLERS.items()}
    service.now = NOW
    return service, keys


def conversations() -> dict[str, list[Ask]]:
    """By topic; each begins with a service of its own."""
    at, here = format_time(NOW), STOP | {"id": "s1", "agency": OWN}
    own = {name: Ask(name.split()[0], *rest) for name, rest in samples().items()}
    fix = {"unit": "own", "time": at, "at": STOP["at"], "course_deg": 90.0, "speed_mps": 3.0}
    unit = {"id": "n1", "agency": OWN, "call_sign": "1A1", "officers": 2, "capabilities": ["DrugK9"]}
    state = {"unit": unit, "fix": fix | {"unit": "n1"}, "status": {"availability": "available", "at": at}}
    line = [{"lon": WEST, "lat": SOUTH}, {"lon": WEST + 0.002, "lat": SOUTH}]
    zone = {
        "id": "z1", "type": "Feature",
        "geometry": {"type": "LineString", "coordinates": [list(point.values()) for point in line]},
        "properties": {"core_details": {"event_type": "work-zone"}, "vehicle_impact": "all-lanes-closed"},
    }  # fmt: skip
    urgent = here | {"id": "s2", "urgency": "officer_emergency", "need": {"officers": 3, "preferred": ["DrugK9"]}}
    assign = {"stop_id": "s1", "unit": "own", "version": 1, "reason": "own_beat", "by": "radio 2"}
    return {
        "rankings": [
            Ask("POST", "/v1/rankings", {"stop": here}),
            Ask("POST", "/v1/rankings", {"stop": urgent, "k": 2, "include": ["route", "excluded", "beyond_k"]}),
            Ask("POST", "/v1/rankings", {"stop": here, "units": [state], "now": at}),
            Ask("POST", "/v1/rankings", {"stop": here, "exclude_units": ["own"], "k": 1}, "centre"),
            Ask("POST", "/v1/explanations", {"stop": here, "unit": "open"}),
            Ask("POST", "/v1/explanations", {"stop": here, "unit": "busy"}),
            Ask("POST", "/v1/comparisons", {"stop": here}),
            Ask("POST", "/v1/rankings", {"stop": here | {"at": FAR_AWAY}}),
            Ask("POST", "/v1/rankings", {"stop": here | {"course_deg": 400}}),
            Ask("POST", "/v1/rankings", {"stop": here, "nearby": 1}),
            Ask("POST", "/v1/explanations", {"stop": here, "unit": "nobody"}),
        ],
        "fleet": [
            Ask("GET", "/v1/units"),
            Ask("PUT", "/v1/units/n1", unit),
            Ask("PUT", "/v1/units/n1", unit | {"officers": 1}),
            Ask("PUT", "/v1/units/n1/status", {"availability": "conditionally_available", "activity": "report"}),
            Ask("PUT", "/v1/units/n1/status", {"local_status": "10-99"}),
            Ask("POST", "/v1/fixes", {"fixes": [fix, fix | {"unit": "nobody"}, fix | {"unit": "n1", "at": FAR_AWAY}]}),
            Ask("POST", "/v1/fixes", {"fixes": [fix | {"time": "2036-01-01T00:00:00Z"}, fix | {"unit": "n1"}]}),
            Ask("GET", "/v1/units/n1"),
            Ask("PUT", "/v1/fleet", {"source": "cad", "source_seq": 7, "units": [state]}),
            Ask("PATCH", "/v1/fleet", {"source": "cad", "source_seq": 8, "units": [unit | {"id": "n2"}]}),
            Ask("PATCH", "/v1/fleet", {"source": "cad", "source_seq": 10, "removed": ["n2"]}),
            Ask("DELETE", "/v1/units/n2"),
            Ask("GET", "/v1/units/n2"),
        ],
        "stops": [
            Ask("POST", "/v1/stops", {"stop": here, "position": "radio 2"}),
            Ask("GET", "/v1/stops"),
            Ask("POST", "/v1/rankings", {"stop_id": "s1"}),
            Ask("POST", "/v1/assignments", assign),
            Ask("POST", "/v1/assignments", assign | {"unit": "open"}),
            Ask("POST", "/v1/assignments", assign | {"unit": "open", "version": 2}),
            Ask("PATCH", "/v1/assignments/a2", {"state": "accepted"}),
            Ask("PATCH", "/v1/assignments/a2", {"state": "on_scene"}),
            Ask("GET", "/v1/assignments/a2"),
            Ask("PATCH", "/v1/stops/s1", {"phase": "contact", "officer_heard": True, "need": {"officers": 2}}),
            Ask("PATCH", "/v1/stops/s1", {"code_4": True}),
            Ask("GET", "/v1/stops/s1"),
            Ask("GET", "/v1/stops/s1", None, "partner"),
            Ask("GET", "/v1/overrides"),
            Ask("DELETE", "/v1/stops/s1"),
            Ask("GET", "/v1/stops/s1"),
        ],
        "roads": [
            Ask("POST", "/v1/closures", {"source": "city", "closures": [{"id": "c1", "kind": "closed", "line": line}]}),
            Ask("GET", "/v1/closures"),
            Ask("POST", "/v1/rankings", {"stop": here, "k": 1}),
            Ask("POST", "/v1/closures:import?format=wzdx&source=dot", WZDX | {"features": [zone]}),
            Ask("DELETE", "/v1/closures/c1"),
            Ask("DELETE", "/v1/closures/c1"),
        ],
        "feeds": [
            Ask("POST", "/v1/fixes:raw?format=fixes", fix),
            Ask("POST", "/v1/fixes:raw?format=nmea&unit=own", "$GPRMC,no", "cad", "application/octet-stream"),
            Ask("POST", "/v1/fixes:stream?format=fixes", fix),
            Ask("GET", "/v1/feeds"),
        ],
        "emergencies": [
            own["POST /v1/emergencies"],
            own["POST /v1/emergencies"],
            Ask("GET", "/v1/emergencies"),
            own["PATCH /v1/emergencies/{emergency_id:path}"],
            own["GET /v1/emergencies/{emergency_id:path}"],
        ],
        "leave": [
            Ask("POST", "/v1/stops", {"stop": here}),
            own["POST /v1/approvals"],
            Ask("GET", "/v1/approvals"),
            own["POST /v1/approvals/answers"],
            Ask("POST", "/v1/approvals", {"stop": "s1", "agreement": f"{SHY}-helps"}),
        ],
        "maps": [
            Ask("GET", "/v1", None, None),
            Ask("GET", "/v1/conformance", None, None),
            Ask("GET", "/v1/collections"),
            Ask("GET", "/v1/collections/units/items"),
            Ask("GET", "/v1/collections/units/items/open"),
            Ask("GET", "/v1/collections/units/items?limit=0"),
            Ask("GET", "/v1/collections/none"),
        ],
        "service": [
            Ask("GET", "/healthz", None, None),
            Ask("GET", "/readyz", None, None),
            Ask("GET", "/v1/units", None, None),
            Ask("GET", "/v1/none"),
            Ask("PATCH", "/v1/units"),
            Ask("POST", "/v1/rankings", "x", "cad", "text/plain"),
            Ask("GET", "/v1/units/stranger"),
            Ask("PUT", "/v1/units/x1", {"id": "x1", "agency": OPEN}),
        ],
    }


def held(asks: list[Ask]) -> Iterator[dict]:
    """What a service says today."""
    with tempfile.TemporaryDirectory() as folder:
        service, keys = new_service(Path(folder))
        for one in asks:
            body = one.body.encode() if isinstance(one.body, str) else one.body
            answer = service.ask(
                one.method, one.path, body, key=None if one.caller is None else keys[one.caller],
                media=one.media.encode(),
            )  # fmt: skip
            yield {
                "status": answer.status,
                "media": answer.headers.get("content-type"),
                "body": None if not answer.text else _without_hashes(json.loads(answer.text)),
            }


def _without_hashes(told: object) -> object:
    if isinstance(told, dict):
        return {name: _without_hashes(value) for name, value in told.items()}
    if isinstance(told, list):
        return [_without_hashes(value) for value in told]
    return ANY if isinstance(told, str) and VARIES.fullmatch(told) else told


def breaks(recorded: object, now: object, where: str = "") -> list[str]:
    """What a program that was written against the recorded answer would trip over; empty: nothing."""
    if isinstance(recorded, dict) and isinstance(now, dict):
        gone = [f"{where}.{name} is gone" for name in recorded if name not in now]
        kept = [name for name in recorded if name in now]
        words = {name for name in kept if name in SENTENCES and type(recorded[name]) is type(now[name]) is str}
        inner = [name for name in kept if name not in words]
        return gone + [one for name in inner for one in breaks(recorded[name], now[name], f"{where}.{name}")]
    if isinstance(recorded, list) and isinstance(now, list):
        if len(recorded) != len(now):
            return [f"{where} has {len(now)} items, not {len(recorded)}"]
        pairs = enumerate(zip(recorded, now, strict=True))
        return [one for n, (old, new) in pairs for one in breaks(old, new, f"{where}[{n}]")]
    if type(recorded) is not type(now):
        return [f"{where} is {type(now).__name__}, not {type(recorded).__name__}"]
    if isinstance(recorded, float) and isinstance(now, float) and math.isclose(recorded, now, rel_tol=1e-9):
        return []
    return [] if recorded == now else [f"{where} is {now!r}, not {recorded!r}"]


def asks_of(transcript: dict) -> list[Ask]:
    return [Ask(**exchange["request"]) for exchange in transcript["exchanges"]]


def main() -> int:
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--again", action="store_true", help="Record all anew.")
    again = ask.parse_args().again
    FOLDER.mkdir(exist_ok=True)
    for topic, asks in conversations().items():
        path = FOLDER / f"{topic}.json"
        if path.exists() and not again:
            continue
        exchanges = [
            {"request": vars(one), "response": response} for one, response in zip(asks, held(asks), strict=True)
        ]
        about = "Recorded over a made-up town, with simulated units."
        text = json.dumps({"about": about, "exchanges": exchanges}, indent=1, ensure_ascii=False)
        path.write_text(text + "\n", encoding="utf-8")
        print(f"{path.name}: {len(asks)} exchanges")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
