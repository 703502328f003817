"""`geomatch keys`: who may ask the service for what."""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from geomatch.cli.options import AsJson
from geomatch.service.scopes import Scope

if TYPE_CHECKING:
    from geomatch.service.keys import Key, KeyFile

KeyFilePath = Annotated[Path, typer.Argument(metavar="FILE", help="The key file, as `geomatch serve --keys` takes it.")]
KeyId = Annotated[str, typer.Argument(metavar="ID", help="Of the key: small letters, digits, - and _.")]


def application() -> typer.Typer:
    app = typer.Typer(help="Make, list and revoke the keys of a service.", no_args_is_help=True)
    app.command("new")(new)
    app.command("list")(list_keys)
    app.command("revoke")(revoke)
    return app


def new(
    file: KeyFilePath,
    key_id: KeyId,
    *,
    agency: Annotated[
        list[str],
        typer.Option(
            "--agency", "-a", metavar="AGENCY", help="Whose units and stops it may change; `*`: all. Repeatable."
        ),
    ],
    scope: Annotated[list[Scope], typer.Option("--scope", "-s", help="What it may do. Repeatable.")],
    days: Annotated[int | None, typer.Option("--days", min=1, max=3650, help="It expires after so many.")] = None,
    note: Annotated[str, typer.Option("--note", help="What it is for; no person's name.")] = "",
    as_json: AsJson = False,
) -> None:
    """Make a key. It is told this once, on stdout: the file keeps its hash alone.

    \b
      geomatch keys new keys.json cad -a hoboken.nj -s rankings:read -s stops:write -s status:write -s fixes:write
      geomatch keys new keys.json modems -a hoboken.nj -s fixes:write --days 365
      geomatch serve hudson.region --keys keys.json --host 0.0.0.0 --tls-cert cert.pem --tls-key key.pem
    """
    from geomatch.service.keys import KeyFile, new_key, read_keys, write_keys

    now = time.time()
    held = read_keys(file) if file.exists() else KeyFile()
    expires = None if days is None else (datetime.fromtimestamp(now, UTC) + timedelta(days=days)).timestamp()
    held, credential = new_key(
        held, key_id=key_id, agencies=tuple(agency), scopes=tuple(scope), now=now, expires=expires, note=note
    )
    write_keys(file, held)
    if as_json:
        sys.stdout.write(json.dumps({"id": key_id, "key": credential}) + "\n")
        return
    print(credential)
    sys.stderr.write("geomatch: this is the only time the key is told; send it as `Authorization: Bearer KEY`\n")


def list_keys(file: KeyFilePath, *, as_json: AsJson = False) -> None:
    """List the keys of a file, and whose signed tokens it takes.

    No secret is in it.
    """
    from geomatch.service.keys import read_keys

    held = read_keys(file)
    now = time.time()
    if as_json:
        sys.stdout.write(json.dumps(_told(held, now), indent=2, ensure_ascii=False) + "\n")
        return
    for key in held.keys:
        print(f"{key.id}: {_state(key, now)}; {', '.join(key.agencies)}; {' '.join(key.scopes)}{_note(key)}")
    for one in held.issuers:
        print(f"tokens of {one.issuer}: {', '.join(one.agencies)}; {' '.join(one.scopes)}")


def revoke(file: KeyFilePath, key_id: KeyId) -> None:
    """Revoke a key. A running service refuses it within a second or two."""
    from geomatch.service.keys import read_keys, revoked, write_keys

    write_keys(file, revoked(read_keys(file), key_id, now=time.time()))
    print(f"{key_id} is revoked")


def _told(held: KeyFile, now: float) -> dict[str, object]:
    keys = [
        {"id": key.id, "state": _state(key, now), "agencies": key.agencies, "scopes": key.scopes, "note": key.note}
        for key in held.keys
    ]
    issuers = [{"issuer": one.issuer, "agencies": one.agencies, "scopes": one.scopes} for one in held.issuers]
    return {"keys": keys, "issuers": issuers}


def _state(key: Key, now: float) -> str:
    from geomatch.quantities import format_time

    until = f"good until {format_time(key.expires)}" if key.expires is not None else "good"
    return key.refusal(now) or until


def _note(key: Key) -> str:
    return f"; {key.note}" if key.note else ""
