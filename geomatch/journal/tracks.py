"""Where units were, out of the journal and into a Parquet file: what calibration and analysts read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from geomatch.errors import BadInput
from geomatch.journal.records import Record
from geomatch.journal.store import Store
from geomatch.journal.told import Fixes, FleetChanged, FleetReplaced, told_of
from geomatch.model import Fix
from geomatch.quantities import UnixTime

ROWS_AT_A_TIME = 100_000
COLUMNS = (
    "event",
    "received",
    "unit",
    "time",
    "lon",
    "lat",
    "course_deg",
    "speed_mps",
    "accuracy_m",
    "source",
    "source_seq",
)


def write_tracks(store: Store, out: Path, *, since: UnixTime = 0.0, until: UnixTime = float("inf")) -> int:
    """A row a fix that was told between these times, in the order it was told; how many. Times are UTC, in
    microseconds; `received` is when it was told, `time` when it was measured.

    Late and repeated fixes are in it: what became of each, a replay tells. Raises BadInput without pyarrow. Memory does
    not grow with the journal.
    """
    try:
        import pyarrow as pa  # type: ignore[import-untyped]  # it ships no types
        from pyarrow import parquet
    except ImportError:
        raise BadInput("tracks are written by pyarrow: pip install 'geomatch-dispatch[parquet]'") from None
    moment = pa.timestamp("us", tz="UTC")
    kinds = (pa.int64(), moment, pa.string(), moment, *[pa.float64()] * 5, pa.string(), pa.int64())
    schema = pa.schema([pa.field(name, kind) for name, kind in zip(COLUMNS, kinds, strict=True)])
    rows = 0
    building = out.with_name(f".{out.name}.part")
    try:
        with parquet.ParquetWriter(building, schema, compression="zstd") as writer:
            for columns in _batches(store, since, until):
                writer.write_table(pa.table(columns, schema=schema))
                rows += len(columns["unit"])
        building.replace(out)
    finally:
        building.unlink(missing_ok=True)
    return rows


def _batches(store: Store, since: UnixTime, until: UnixTime) -> Iterator[Mapping[str, Sequence[Any]]]:
    rows: list[tuple[object, ...]] = []
    for record in store.history(kinds=[kind.kind for kind in (Fixes, FleetReplaced, FleetChanged)]):
        if since <= record.at < until and record.payload is not None:
            rows += [_row(record, fix) for fix in _fixes(record.kind, record.payload)]
        if len(rows) >= ROWS_AT_A_TIME:
            yield dict(zip(COLUMNS, zip(*rows, strict=True), strict=True))
            rows = []
    if rows:
        yield dict(zip(COLUMNS, zip(*rows, strict=True), strict=True))


def _fixes(kind: str, payload: bytes) -> Sequence[Fix]:
    told = told_of(kind, payload)
    if isinstance(told, Fixes):
        return told.fixes
    if isinstance(told, FleetReplaced):
        return [state.fix for state in told.states if state.fix is not None]
    return told.delta.fixes if isinstance(told, FleetChanged) else ()


def _row(record: Record, fix: Fix) -> tuple[object, ...]:
    return (
        record.event, round(record.at * 1e6), fix.unit, round(fix.time * 1e6), fix.at.lon, fix.at.lat, fix.course_deg,
        fix.speed_mps, fix.accuracy_m, fix.source, fix.source_seq,
    )  # fmt: skip
