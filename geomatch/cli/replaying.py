"""`geomatch replay` and `geomatch journal`: what a journal says, and whether it is what was written."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from geomatch.cli.options import AsJson, RegionFolder
from geomatch.errors import BadInput

if TYPE_CHECKING:
    from geomatch.journal.replay import Elsewhere, Known, Replayed
    from geomatch.journal.store import Store
    from geomatch.journal.telling import Regions

JournalAt = Annotated[
    str, typer.Argument(metavar="JOURNAL", help="A file that `serve --journal` wrote, or postgresql://...")
]
SHOWN = 10
"""Rankings named one by one before "and 12 more"."""


def replay(
    region: RegionFolder,
    journal: JournalAt,
    *,
    at: Annotated[
        str | None, typer.Option("--at", metavar="TIME", help="What was known then: RFC 3339 with offset.")
    ] = None,
    other: Annotated[
        Path | None, typer.Option("--with", metavar="REGION", help="What this map would have answered instead.")
    ] = None,
    also: Annotated[
        list[Path] | None, typer.Option("--also", metavar="REGION", help="A map that was in use too; repeatable.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make every ranking of a journal again, and compare the bytes.

    Exit 1 where one differs. The chain of the journal is checked on the way. With --at or --with nothing is compared:
    the first tells what was known at a time, the second what another map would have answered.

    \b
      geomatch replay hudson.region shift.journal
      geomatch replay hudson.region shift.journal --at 2026-03-07T22:15:00Z
      geomatch replay hudson.region shift.journal --with hudson-2027.region --json
    """
    from geomatch.journal.replay import known_at, on_other
    from geomatch.journal.replay import replay as replayed
    from geomatch.journal.store import open_store
    from geomatch.quantities import parse_time
    from geomatch.region import Region

    if at is not None and other is not None:
        raise typer.BadParameter("--at and --with are two questions: ask one at a time")
    try:
        moment = None if at is None else parse_time(at)
    except BadInput as fault:
        raise typer.BadParameter(str(fault), param_hint="--at") from None
    with closing(open_store(journal)) as store:
        if other is not None:
            elsewhere = Region.open(other)
            _show_other(on_other(store, lambda _: elsewhere), as_json=as_json)
        elif moment is not None:
            _show_known(known_at(store, _regions(region, also or ()), moment), as_json=as_json)
        else:
            found = replayed(store, _regions(region, also or ()))
            _show_replayed(found, as_json=as_json)
            if found.differences:
                raise typer.Exit(1)


def verify(
    journal: JournalAt,
    *,
    seal: Annotated[
        list[str] | None, typer.Option("--seal", metavar="SEQ:HASH", help="A seal kept elsewhere; repeatable.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check that every line is what was written, in its order.

    Lists the seals, one for each day that ended. Whoever keeps one elsewhere can tell with --seal that the journal was
    not written anew since.

    \b
      geomatch journal verify shift.journal
      geomatch journal verify shift.journal --seal 4711:9f86d0...
    """
    from geomatch.journal.verify import verify as verified

    with closing(_opened(journal)) as store:
        found = verified(store, seals=[_seal(text) for text in seal or ()])
    if as_json:
        _write(asdict(found))
        return
    _line(
        f"{found.records:,} records, {found.events:,} of them events, follow one another; {found.purged:,} were purged"
    )
    for one in found.seals:
        _line(f"  {one.day}  {one.seq}:{one.hash}")
    _line(f"  head        {found.records}:{found.head}")


def purge(
    journal: JournalAt,
    *,
    before: Annotated[str, typer.Option("--before", metavar="TIME", help="RFC 3339 with offset.")],
    kinds: Annotated[
        list[str] | None,
        typer.Option("--kind", metavar="KIND", help="As fixes or ranking; repeatable. Else: all that may be."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Forget what the lines of sealed days say.

    Their hashes stay, and the journal still verifies.

    \b
      geomatch journal purge shift.journal --before 2025-02-01T00:00:00Z
      geomatch journal purge shift.journal --before 2026-02-01T00:00:00Z --kind fixes --kind state
    """
    from geomatch.journal.verify import purge as purged
    from geomatch.quantities import parse_time

    try:
        moment = parse_time(before)
    except BadInput as fault:
        raise typer.BadParameter(str(fault), param_hint="--before") from None
    with closing(_opened(journal)) as store:
        done = purged(store, before=moment, now=time.time(), kinds=kinds or ())
    if as_json:
        _write(dict(done))
    else:
        _line(f"{done['purged']:,} payloads were purged, up to record {done['through_seq']}")


def tracks(
    journal: JournalAt,
    *,
    out: Annotated[Path, typer.Option("--output", "-o", metavar="F.parquet", help="The file to write.")],
    as_json: AsJson = False,
) -> None:
    """Write every fix of a journal to a Parquet file, a row each.

    \b
      geomatch journal tracks shift.journal -o tracks.parquet
    """
    from geomatch.journal.tracks import write_tracks

    with closing(_opened(journal)) as store:
        rows = write_tracks(store, out)
    if as_json:
        _write({"fixes": rows})
    else:
        _line(f"{rows:,} fixes are in {out}")


def journal_commands() -> typer.Typer:
    """`geomatch journal ...`"""
    app = typer.Typer(help="Verify a journal, forget old days, or take out the tracks.", no_args_is_help=True)
    app.command("verify")(verify)
    app.command("purge")(purge)
    app.command("tracks")(tracks)
    return app


def _opened(journal: str) -> Store:
    from geomatch.journal.store import open_store

    return open_store(journal)


def _regions(region: Path, also: Sequence[Path]) -> Regions:
    from geomatch.journal.told import known_regions
    from geomatch.region import Region

    return known_regions(*(Region.open(folder) for folder in (region, *also)))


def _seal(text: str) -> Any:
    from geomatch.journal.verify import Seal

    seq, _, digest = text.partition(":")
    if not seq.isdecimal() or len(digest) != 64:
        raise typer.BadParameter("a seal is SEQ:HASH, as `geomatch journal verify` lists it", param_hint="--seal")
    return Seal(day="", seq=int(seq), hash=digest.lower())


def _show_replayed(found: Replayed, *, as_json: bool) -> None:
    from geomatch.quantities import format_time

    if as_json:
        listed = [asdict(one) | {"at": format_time(one.at)} for one in found.differences]
        _write(asdict(found) | {"differences": listed})
        return
    _line(f"{found.events:,} events told again, {found.rankings:,} rankings made again: {found.same:,} are the same")
    for count, what in (
        (found.as_recorded, "were cut short by a deadline, and stand as recorded"),
        (found.purged, "were purged, or rest on what was"),
        (found.gone, "were never written, since the store was down"),
    ):
        if count:
            _line(f"  {count:,} {what}")
    for one in found.differences[:SHOWN]:
        _line(f"  record {one.seq}, {format_time(one.at)}, stop {one.stop}: {', '.join(one.fields)} differ")
    if len(found.differences) > SHOWN:
        _line(f"  and {len(found.differences) - SHOWN:,} more")
    _line(f"  answers {found.answers_sha256}")


def _show_known(known: Known, *, as_json: bool) -> None:
    from geomatch.quantities import format_time

    if as_json:
        from pydantic import TypeAdapter

        from geomatch.backup.snapshot import Memory
        from geomatch.journal.records import decoded, encoded

        # Through the journal's own form, since a view of a mapping has none on the wire.
        memory = decoded(Memory, encoded(Memory, known.memory))
        _write({
            "event": known.event, "at": format_time(known.at), "region": known.region,
            "known": TypeAdapter(Memory).dump_python(memory, mode="json"), "answers": dict(known.answers),
        })  # fmt: skip
        return
    fleet, stops = known.memory.fleet.states, known.memory.stops
    available = sum(state.status.availability == "available" for state in fleet)
    _line(f"After event {known.event}, {format_time(known.at)}, on region {known.region[:12]}:")
    _line(f"  {len(fleet):,} units, {available:,} of them available; {len(stops):,} open stops")
    for held in stops:
        coming = ", ".join(f"{one.unit} ({one.state})" for one in held.assignments if one.live) or "nobody"
        answer: Any = known.answers.get(held.stop.id)
        said = "" if answer is None else f"; ranked: {', '.join(c['unit'] for c in answer['candidates']) or 'nobody'}"
        _line(f"  stop {held.stop.id}: {coming} assigned{said}")


def _show_other(found: Iterable[Elsewhere], *, as_json: bool) -> None:
    from geomatch.quantities import format_time

    listed = list(found)
    first = [one for one in listed if one.then[:1] != one.now[:1]]
    if as_json:
        _write({
            "rankings": len(listed), "same": sum(one.then == one.now for one in listed), "other_first": len(first),
            "changed": [asdict(one) | {"at": format_time(one.at)} for one in listed if one.then != one.now],
        })  # fmt: skip
        return
    same = sum(one.then == one.now for one in listed)
    _line(
        f"{len(listed):,} rankings: {same:,} with the same units in the same order, {len(first):,} with another first"
    )
    for one in first[:SHOWN]:
        then, now = ((units[0] if units else "nobody") for units in (one.then, one.now))
        _line(f"  {format_time(one.at)}, stop {one.stop}: {then} then, {one.fault or now} now")
    if len(first) > SHOWN:
        _line(f"  and {len(first) - SHOWN:,} more")


def _write(value: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def _line(text: str) -> None:
    sys.stdout.write(text + "\n")
