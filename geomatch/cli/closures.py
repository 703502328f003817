"""`geomatch closures`: what a file of closures would close, and handing it to a running service."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlencode, urlsplit

import typer

from geomatch.cli.options import AsJson, RegionFolder
from geomatch.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geomatch.feeds.closure_formats import ClosureFormat
    from geomatch.quantities import DrivingMode

SHOWN = 20
"""Items of one outcome written out; --json has all."""


def closures(
    region: RegionFolder,
    file: Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="WZDx, CIFS or our own.")],
    *,
    form: Annotated[
        str | None, typer.Option("--format", help="wzdx, cifs or geomatch. Else: by what the file says of itself.")
    ] = None,
    source: Annotated[
        str | None, typer.Option("--source", help="Whose they are. Else: the feed's publisher, or its format.")
    ] = None,
    modes: Annotated[
        list[str] | None,
        typer.Option("--mode", metavar="MODE", help="Whom they hold for: routine, urgent, emergency; repeatable."),
    ] = None,
    url: Annotated[
        str | None, typer.Option("--url", help="Of a running service that is to take them, as http://127.0.0.1:8000.")
    ] = None,
    key: Annotated[
        str | None, typer.Option("--key", envvar="GEOMATCH_KEY", help="An API key with the scope maps:admin.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say which roads a file of closures is about, item by item. Exit status 1 where one lies on no road or is faulty.

    Nothing is changed, unless --url names a service: it takes all of it in one step, in place of what the same source
    said before, and the results are its own.

    \b
      geomatch closures hudson.region wzdx.geojson
      geomatch closures hudson.region waze.xml --mode routine --url http://127.0.0.1:8000
    """
    from geomatch.feeds.closure_formats import ClosureFormat
    from geomatch.quantities import DrivingMode

    try:
        which = None if form is None else ClosureFormat(form)
        whom = [DrivingMode(mode) for mode in modes or DrivingMode]
    except ValueError:
        raise typer.BadParameter("--format is wzdx, cifs or geomatch; --mode is routine, urgent or emergency") from None
    raw = file.read_bytes()
    if url is None:
        results = _would_be(region, raw, which, source, whom)
    else:
        results = _posted(url, key, raw, which, source, whom)
    _tell(results, as_json=as_json, taken=url is not None)
    if any(result["outcome"] not in {"matched", "left_out"} for result in results):
        raise typer.Exit(1)


def _would_be(
    region: Path, raw: bytes, form: ClosureFormat | None, source: str | None, modes: Sequence[DrivingMode]
) -> list[dict[str, Any]]:
    from geomatch.backup.closed_roads import ClosedRoads
    from geomatch.feeds import closures as imports
    from geomatch.feeds.closure_formats import read
    from geomatch.region import Region

    _, items = read(raw, form=form, source=source, modes=modes)
    roads = ClosedRoads(Region.open(region))
    found = [roads.find(item.closure) for item in items if item.closure is not None]
    return [asdict(result) for result in imports.results(items, found)]


def _posted(
    url: str, key: str | None, raw: bytes, form: ClosureFormat | None, source: str | None, modes: Sequence[DrivingMode]
) -> list[dict[str, Any]]:
    """Raises BadInput with the service's own words where it refuses."""
    from urllib.error import HTTPError, URLError
    from urllib.request import Request, urlopen

    if urlsplit(url).scheme not in {"http", "https"}:
        raise typer.BadParameter("--url must begin with http:// or https://")
    named = [("format", form), ("source", source)]
    query = urlencode([(name, value) for name, value in named if value] + [("mode", mode) for mode in modes])
    headers = {"Content-Type": "application/octet-stream"} | ({"Authorization": f"Bearer {key}"} if key else {})
    request = Request(f"{url.rstrip('/')}/v1/closures:import?{query}", raw, headers)  # noqa: S310 - checked above
    try:
        with urlopen(request, timeout=60) as answer:  # noqa: S310 - checked above
            results: list[dict[str, Any]] = json.loads(answer.read())["results"]
            return results
    except HTTPError as fault:
        raise BadInput(f"the service refused it: {_detail(fault.read()) or fault.reason}") from None
    except URLError as fault:
        raise BadInput(f"no service answers at {url}: {fault.reason}") from None


def _detail(raw: bytes) -> str:
    try:
        told = json.loads(raw)
    except ValueError:
        return ""
    return str(told.get("detail", "")) if isinstance(told, dict) else ""


def _tell(results: list[dict[str, Any]], *, as_json: bool, taken: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps({"taken": taken, "results": results}, indent=2, ensure_ascii=False) + "\n")
        return
    from rich.markup import escape

    from geomatch.cli.text import console

    screen = console()
    for outcome in ("matched", "partly", "unmatched", "faulty", "left_out"):
        of_it = [result for result in results if result["outcome"] == outcome]
        if not of_it:
            continue
        screen.print(f"[bold]{outcome.replace('_', ' ')}[/bold] ({len(of_it):,})")
        for result in of_it[:SHOWN]:
            roads = f", {len(result['edges'])} directed edges" if result["edges"] else ""
            why = f": {result['detail']}" if result["detail"] else ""
            screen.print(f"  {escape(result['id'])}{roads}{escape(why)}")
        if len(of_it) > SHOWN:
            screen.print(f"  and {len(of_it) - SHOWN:,} more: see --json")
    screen.print(
        "The service has taken them." if taken else "[dim]Nothing was changed: --url hands them to a service.[/dim]"
    )
