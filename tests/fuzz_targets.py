"""What reads bytes from outside, each with samples to begin from: any bytes may be refused, and none may break it.

`fuzz.py` runs them with bytes that are led by coverage; test_fuzz_found.py runs the samples and what was once found.
"""

from __future__ import annotations

import atexit
import json
import logging
import shutil
import tempfile
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from itertools import chain
from pathlib import Path

from test_closures_import import CIFS_XML, WZDX
from test_feed_plan import PLAN
from test_feeds_fuzz import CONTEXT, PARSERS, SAMPLES, check
from test_feeds_mapped import FILE

from geomatch.aid.agreement_files import read_agreements
from geomatch.aid.signoff import read_keys as read_agency_keys
from geomatch.aid.vocabulary import read_vocabularies
from geomatch.errors import GeomatchError
from geomatch.feeds.closure_formats import ClosureFormat, read
from geomatch.feeds.mapped import read_mapping
from geomatch.feeds.plan import read_plan
from geomatch.fleet.files import read_fleet
from geomatch.maps.layers.field_mapping import read_mapping as read_fields
from geomatch.model.closures import ClosureResult
from geomatch.service.keys import read_keys

DATA = Path(__file__).parent.parent / "data"
FIELDS = (
    b'crs = "EPSG:2263"\n[fields]\nDsplayName = "name"\n[[when]]\nmatch = { kind = "x" }\nfields = { NGUID = "{a}" }'
)
KEYS = b'{"keys": [{"id": "cad", "sha256": "' + b"0" * 64 + b'", "agencies": ["a.b"], "scopes": ["rankings:read"],'
KEYS += b' "created": "2026-03-07T22:15:00Z"}], "issuers": []}'
OWN_CLOSURES = {
    "closures": [{"id": "c1", "kind": "closed", "line": [{"lon": -100.0, "lat": 44.0}, {"lon": -99.9, "lat": 44.0}]}]
}
CIFS = {"incidents": [{"id": "101", "type": "ROAD_CLOSED", "polyline": "44 -100 44.1 -100", "direction": "X"}]}
MESSAGES = {
    ClosureFormat.wzdx: [json.dumps(WZDX).encode()],
    ClosureFormat.cifs: [CIFS_XML, json.dumps(CIFS).encode()],
    ClosureFormat.geomatch: [json.dumps(OWN_CLOSURES).encode()],
}


@dataclass(frozen=True)
class Target:
    run: Callable[[bytes], object]
    """Raises nothing but what it says in its own words."""
    samples: tuple[bytes, ...]


def _feed(raw: bytes, name: str) -> None:
    check(PARSERS[name](raw, CONTEXT))


def _closures(raw: bytes, form: ClosureFormat | None) -> None:
    """What it tells can be told: the answer of the API is JSON."""
    with_words(lambda: _told(*read(raw, form=form)))


def _told(source: str, items: tuple) -> None:
    source.encode()
    for item in items:
        json.dumps([item.id, item.detail], ensure_ascii=False).encode()
        if item.closure is None:
            _result_adapter().dump_json(ClosureResult(id=item.id, outcome=item.outcome, detail=item.detail))


@cache
def _result_adapter():
    from pydantic import TypeAdapter

    return TypeAdapter(ClosureResult)


def with_words(work: Callable[[], object]) -> None:
    """Runs it; an error of geomatch's own is a sentence that anybody can be sent."""
    try:
        work()
    except GeomatchError as fault:
        words = str(fault)
    else:
        return
    assert words.strip()
    words.encode()


@cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="geomatch-fuzz-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (folder / "vendor.toml").write_text(FILE, encoding="utf-8")
    return folder


def _file(raw: bytes, read_it: Callable[[Path], object], suffix: str) -> None:
    path = _folder() / f"fuzzed{suffix}"
    path.write_bytes(raw)
    path.chmod(0o600)
    with_words(lambda: read_it(path))


def _request(raw: bytes) -> None:
    """The first byte chooses the operation, the rest is its body: no answer is a fault of the service."""
    from doors import ask

    if not raw:
        return
    app, asked = _service()
    method, path = asked[raw[0] % len(asked)]
    answer = ask(app, method, path, raw[1:])
    assert answer.status < 500, f"{method} {path}: {answer.text}"
    json.loads(answer.text or "null", parse_constant=_no_number)


def _no_number(name: str) -> None:
    raise AssertionError(name)


@cache
def _service():
    """An application over the small town, and the operations that read a body."""
    from doors import full_matcher, samples
    from service_town import NOW, osm_xml

    from geomatch.maps.network.expand import expand
    from geomatch.maps.osm.read import read_osm
    from geomatch.region import Region, write_region
    from geomatch.service.app import create_app
    from geomatch.service.warm import warm

    logging.disable(logging.CRITICAL)
    (_folder() / "town.osm").write_text(osm_xml(), encoding="utf-8")
    source = read_osm(_folder() / "town.osm")
    write_region(_folder() / "town", expand(source), name="town", attribution="made up", report={})
    region = Region.open(_folder() / "town")
    warm(region)
    app = create_app(full_matcher(region), clock=lambda: NOW)
    asked = [(name.split()[0], path) for name, (path, body) in samples().items() if body is not None]
    return app, [*asked, *BARE]


BARE = (("POST", "/v1/closures:import"), ("POST", "/v1/closures:import?format=wzdx"), ("POST", "/v1/fixes:raw"))
"""The same with nothing said beside the body: then it tells more itself."""


def _request_samples() -> tuple[bytes, ...]:
    from doors import samples

    bodies = [body for _, body in samples().values() if body is not None]
    bodies += [WZDX, WZDX, json.loads(SAMPLES["fixes"])]
    return tuple(bytes([number]) + json.dumps(body).encode() for number, body in enumerate(bodies))


def _toml(*names: str) -> tuple[bytes, ...]:
    return tuple((DATA / "metro" / name).read_bytes() for name in names)


def targets() -> dict[str, Target]:
    """By name. Reading a file costs a write of it: those are slower."""
    files = {
        "agreements": (lambda path: read_agreements([path]), ".toml", _toml("agreements.toml")),
        "vocabulary": (lambda path: read_vocabularies([path]), ".toml", _toml("vocabulary.toml")),
        "agency_keys": (read_agency_keys, ".toml", _toml("agency_keys.toml")),
        "json_mapping": (read_mapping, ".toml", (FILE.encode(),)),
        "field_mapping": (read_fields, ".toml", (FIELDS,)),
        "feed_plan": (lambda path: read_plan(path, {"PHONES_PASSWORD": "x"}), ".toml", (PLAN.encode(),)),
        "keys": (read_keys, ".json", (KEYS,)),
        "fleet": (read_fleet, ".geojson", ((DATA / "toy" / "fleet.geojson").read_bytes()[:20_000],)),
    }
    assert tomllib.loads(PLAN)
    return {
        **{str(name): Target(partial(_feed, name=name), (sample,)) for name, sample in SAMPLES.items()},
        **{
            f"closures_{name}": Target(partial(_closures, form=name), tuple(samples))
            for name, samples in MESSAGES.items()
        },
        "closures": Target(partial(_closures, form=None), tuple(chain(*MESSAGES.values()))),
        **{
            name: Target(partial(_file, read_it=read_it, suffix=suffix), samples)
            for name, (read_it, suffix, samples) in files.items()
        },
        "requests": Target(_request, _request_samples()),
    }
