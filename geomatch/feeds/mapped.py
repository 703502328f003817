"""Any flat JSON, by a mapping file that says which key is which field. It is TOML:

    records = "data.vehicles"        # where the list of records is; without it, the message is a record or a list

    [fields]                         # field = key, with dots for keys inside keys
    unit = "vehicle_id"
    time = "ts"
    lon = "position.lng"
    lat = "position.lat"
    course = "heading"
    speed = "speed"
    accuracy = "accuracy"
    availability = "status"

    [measures]                       # demanded for time, speed and accuracy where the field is mapped
    time = "unix_ms"                 # unix_s, unix_ms, rfc3339, or iso_utc: text without an offset that is UTC
    speed = "mph"                    # mps, kph, mph, knots
    accuracy = "m"                   # m, ft

    [availability]                   # the sender's own codes
    "10-8" = "available"
    "10-6" = "conditionally_available"
    "10-7" = "not_available"

`source = "portable"` sets the source of its fixes. A code that is not in the table makes the unit not available, and is
a fault. A null, or a field that is not mapped, is not known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from geomatch.aid.toml_files import parse_toml
from geomatch.errors import BadInput
from geomatch.feeds import values
from geomatch.feeds.measures import METRES_PER_FOOT, MPS_PER_KNOT, MPS_PER_KPH, MPS_PER_MPH
from geomatch.feeds.parsed import (
    BadMessage,
    Context,
    FaultKind,
    Heard,
    Parsed,
    Report,
    UnitStatus,
    collect,
    malformed,
)
from geomatch.model import Availability, Fix, Status
from geomatch.quantities import LonLat

T = TypeVar("T")

REQUIRED = ("time", "lon", "lat")
OPTIONAL = ("unit", "course", "speed", "accuracy", "source_seq", "availability", "activity")
TIMES = ("unix_s", "unix_ms", "rfc3339", "iso_utc")
SPEEDS: Mapping[str, float] = MappingProxyType(
    {"mps": 1.0, "kph": MPS_PER_KPH, "mph": MPS_PER_MPH, "knots": MPS_PER_KNOT}
)
LENGTHS: Mapping[str, float] = MappingProxyType({"m": 1.0, "ft": METRES_PER_FOOT})


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonMapping:
    """Which key is which field, and what its numbers measure."""

    fields: Mapping[str, tuple[str, ...]]
    """Field to the keys that lead to it."""
    time: str
    speed: float = 1.0
    """Metres per second in one of theirs."""
    accuracy: float = 1.0
    """Metres in one of theirs."""
    records: tuple[str, ...] = ()
    source: str | None = None
    availability: Mapping[str, Availability] = field(default_factory=dict)


def read_mapping(path: Path | str) -> JsonMapping:
    """Raises BadInput, which names the file and the key: a typing error would else drop a field in silence."""
    file = Path(path)
    try:
        return mapping_of(parse_toml(file.read_text(encoding="utf-8")))
    except OSError as fault:
        raise BadInput(f"the mapping file {file.name} cannot be read: {fault.strerror}") from None
    except ValueError as fault:  # TOMLDecodeError, UnicodeDecodeError and BadInput are all ones
        raise BadInput(f"the mapping file {file.name}: {fault}") from None


def mapping_of(told: Mapping[str, Any]) -> JsonMapping:
    """The mapping that a TOML document says. Raises BadInput."""
    _known(told, ("records", "source", "fields", "measures", "availability"), "the file")
    fields, measures, codes = (_table(told, name) for name in ("fields", "measures", "availability"))
    _known(fields, (*REQUIRED, *OPTIONAL), "[fields]")
    _known(measures, ("time", "speed", "accuracy"), "[measures]")
    for name in REQUIRED:
        if name not in fields:
            raise BadInput(f"[fields] has no {name}; say which key it is")
    if ("availability" in fields) != bool(codes):
        raise BadInput("[fields] availability and the table [availability] go together; give both or neither")
    source = told.get("source")
    return JsonMapping(
        fields={name: _path(key, name) for name, key in fields.items()},
        time=_choice(measures, "time", {name: name for name in TIMES}),
        speed=_choice(measures, "speed", SPEEDS) if "speed" in fields else 1.0,
        accuracy=_choice(measures, "accuracy", LENGTHS) if "accuracy" in fields else 1.0,
        records=_path(told["records"], "records") if "records" in told else (),
        source=None if source is None else values.text(source, "source"),
        availability={code: _availability(code, word) for code, word in codes.items()},
    )


def parse(raw: bytes, context: Context, mapping: JsonMapping) -> Parsed:
    if mapping.source is not None:
        context = replace(context, source=mapping.source)
    return collect(context, _reports(raw, context, mapping))


def _reports(raw: bytes, context: Context, mapping: JsonMapping) -> Iterator[Report]:
    told = values.document(raw)
    if mapping.records:
        told = _at(told, mapping.records)
        if not isinstance(told, list):
            raise malformed(f"has no list of records at {'.'.join(mapping.records)}; mend the mapping file")
    whole = isinstance(told, list)
    for i, record in enumerate(told if whole else [told]):
        yield f"[{i}]" if whole else "record", partial(_record, record, context, mapping)


def _record(record: Any, context: Context, mapping: JsonMapping) -> Iterator[Heard]:
    if not isinstance(record, dict):
        raise malformed("must be an object")
    told = {name: _at(record, keys) for name, keys in mapping.fields.items()}
    device = told.get("unit")
    if isinstance(device, int) and not isinstance(device, bool):
        device = str(device)
    unit = context.unit_of(None if device is None else values.text(device, "unit"))
    time = _time(told["time"], mapping.time)
    if told["lon"] is not None or told["lat"] is not None:
        yield Fix(
            unit=unit,
            time=time,
            at=LonLat(lon=values.number(told["lon"], "lon"), lat=values.number(told["lat"], "lat")),
            course_deg=values.optional_number(told.get("course"), "course"),
            speed_mps=_scaled(told.get("speed"), "speed", mapping.speed),
            accuracy_m=_scaled(told.get("accuracy"), "accuracy", mapping.accuracy),
            source=context.source,
            source_seq=_whole(told.get("source_seq")),
        )
    if told.get("availability") is not None:
        code = told["availability"]
        known = mapping.availability.get(str(code))
        activity = told.get("activity")
        yield UnitStatus(
            unit=unit,
            status=Status(
                availability=Availability.not_available if known is None else known,
                activity="unknown" if activity is None else values.text(activity, "activity"),
                at=time,
            ),
        )
        if known is None:
            raise BadMessage(
                FaultKind.unknown_code,
                "its availability is a code that [availability] of the mapping file lacks: the unit is not available",
            )


def _time(value: Any, measure: str) -> float:
    if measure == "rfc3339":
        return values.time(value, "time")
    if measure == "iso_utc":
        try:
            moment = datetime.fromisoformat(values.text(value, "time"))
        except BadInput:
            raise
        except ValueError:
            raise malformed("time must be as 2026-03-07T22:15:00") from None
        # An offset that is there all the same holds.
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    seconds = values.number(value, "time")
    return seconds / 1000 if measure == "unix_ms" else seconds


def _scaled(value: Any, name: str, factor: float) -> float | None:
    told = values.optional_number(value, name)
    return None if told is None else told * factor


def _whole(value: Any) -> int | None:
    told = values.optional_number(value, "source_seq")
    if told is not None and told != int(told):
        raise malformed("source_seq must be a whole number")
    return None if told is None else int(told)


def _at(value: Any, keys: tuple[str, ...]) -> Any:
    """None where the way ends before the last key."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _known(table: Mapping[str, Any], names: tuple[str, ...], where: str) -> None:
    for name in table:
        if name not in names:
            raise BadInput(f"{where} has an unknown key {name!r}; known are {', '.join(names)}")


def _table(told: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table = told.get(name, {})
    if not isinstance(table, dict):
        raise BadInput(f"{name} must be a table, as [{name}]")
    return table


def _path(value: Any, name: str) -> tuple[str, ...]:
    if not isinstance(value, str) or not all(value.split(".")):
        raise BadInput(f"{name} must be a key, or keys with dots between")
    return tuple(value.split("."))


def _choice(measures: Mapping[str, Any], name: str, choices: Mapping[str, T]) -> T:
    measure = measures.get(name)
    if not isinstance(measure, str) or measure not in choices:
        raise BadInput(f"[measures] {name} must be one of {', '.join(choices)}")
    return choices[measure]


def _availability(code: str, word: Any) -> Availability:
    try:
        return Availability(word)
    except ValueError:
        raise BadInput(f"[availability] {code!r} must be one of {', '.join(Availability)}") from None
