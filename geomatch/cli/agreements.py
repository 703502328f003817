"""`geomatch agreements`: from a draft to a paper that both agencies have signed."""

from __future__ import annotations

import json
import os
import sys
import time
from base64 import b64decode, b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from geomatch.cli.options import AsJson, ShiftFile, ShiftFleet, recorded_shift
from geomatch.errors import BadInput, BadMap

if TYPE_CHECKING:
    from geomatch.aid.agreements import Agreement, Agreements

Papers = Annotated[list[Path], typer.Argument(metavar="PAPERS...", help="Agreement files, or folders of them, .toml.")]
Paper = Annotated[Path, typer.Argument(metavar="PAPER", help="An agreement file, .toml.")]
OnRegion = Annotated[
    Path | None, typer.Option("--region", "-r", help="Also hold them against its agencies, areas and agreements.")
]
KEY_BYTES = 32


def application() -> typer.Typer:
    app = typer.Typer(help="Check agreements, try them on a recorded shift, and sign them.", rich_markup_mode=None)
    app.command("check")(check)
    app.command("try")(try_out)
    app.command("sign")(sign)
    app.command("keys")(keys)
    return app


def check(
    papers: Papers,
    *,
    region: OnRegion = None,
    agency_keys: Annotated[
        Path | None, typer.Option("--keys", exists=True, help="Public keys, .toml: who has signed what?")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say what is wrong with agreement files, or what is in them.

    A fault is told with file, line and field, and exit status 1. With --keys an active paper that both agencies have
    not signed is a fault too. What is well but wants a look, as a review that is due, is told and no fault.

    \b
      geomatch agreements check aid/
      geomatch agreements check aid/ --region hudson.region --keys agency_keys.toml
    """
    from geomatch.aid.agreement_files import read_agreements
    from geomatch.aid.signoff import read_keys

    known = None if agency_keys is None else read_keys(agency_keys)
    read = _beside_region(papers, region)[0] if region else read_agreements(papers)
    if known is not None:
        read_agreements(papers, keys=known, beside=read)
    rows = [_row(one, read, known) for one in read.all]
    if as_json:
        _print_json({"agreements": rows, "areas": sorted(read.areas)})
        return
    agencies = {agency for one in read.all for agency in (one.provider_agency, one.receiver_agency)}
    print(f"{len(rows)} agreements between {len(agencies)} agencies: nothing is wrong")
    for row in rows:
        look = f"; {', '.join(row['look_at'])}" if row["look_at"] else ""
        print(f"  {row['agreement']}  {row['status']}, {row['mode']}: {row['provider']} to {row['receiver']}{look}")


def _row(one: Agreement, read: Agreements, keys: dict[str, bytes] | None) -> dict[str, Any]:
    from geomatch.aid.clauses import Stage
    from geomatch.aid.signoff import missing_signoffs

    now, look_at = time.time(), []
    if one.status is Stage.active and one.effective.ends is not None and one.effective.ends <= now:
        look_at.append("its time is over")
    if one.status is Stage.active and one.effective.starts is not None and now < one.effective.starts:
        look_at.append("it has not begun")
    if one.review_due is not None and one.review_due.isoformat() < time.strftime("%Y-%m-%d", time.gmtime(now)):
        look_at.append(f"its review was due {one.review_due}")
    missing = () if keys is None else missing_signoffs(one, read.areas, keys)
    if missing and one.status is Stage.draft:
        look_at.append(f"to be signed by {' and '.join(missing)}")
    return {
        "agreement": one.key, "title": one.title, "status": str(one.status), "mode": str(one.mode),
        "provider": one.provider_agency, "receiver": one.receiver_agency, "missing_signoffs": list(missing),
        "look_at": look_at,
    }  # fmt: skip


def _beside_region(papers: list[Path], folder: Path) -> tuple[Agreements, Agreements, Any]:
    """What the files hold, what the region has already, and the region. Raises BadMap for what does not fit it."""
    from geomatch.aid.agreement_files import read_agreements
    from geomatch.aid.agreements import Agreements
    from geomatch.region import Region

    opened = Region.open(folder)
    loaded = opened.agreements or Agreements()
    areas = opened.jurisdictions
    known = None if areas is None else {area.agency for area in areas.areas}
    read = read_agreements(papers, known_agencies=known, beside=loaded)
    try:
        opened.under(Agreements(read.all, [*loaded.areas.values(), *read.areas.values()]))
    except BadInput as fault:
        raise BadMap(str(fault)) from None
    return read, loaded, opened


def try_out(
    paper: Annotated[Path, typer.Argument(metavar="DRAFT", help="An agreement file, .toml, drafts and all.")],
    *,
    region: Annotated[Path, typer.Option("--region", "-r", help="With the agreements that hold now.")],
    shift: ShiftFile,
    fleet: ShiftFleet = None,
    k: Annotated[int, typer.Option("-k", min=1, max=1000, help="How many candidates each stop is given.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Try drafts out on a recorded shift: what would each have changed?

    Every stop of the shift is ranked twice, with the region's agreements as they are and with the draft among them as
    if it were active, in place of older versions of itself. Several drafts in a file are tried one by one.

    \b
      geomatch agreements try draft.toml --region hudson.region --shift friday.ndjson.gz --fleet units.geojson
    """
    from dataclasses import asdict

    from geomatch.aid.agreements import Agreements
    from geomatch.backup.recorded import try_out as tried

    read, loaded, opened = _beside_region([paper], region)
    if opened.agreements is None:
        raise BadInput(f"region {opened.name} has no agreements, so everybody may go: build it with --agreements first")
    recorded = recorded_shift(opened, shift, fleet)
    every = Agreements(loaded.all, {**loaded.areas, **read.areas}.values())
    results = tried(opened, read.all, every, recorded, k=k)
    if as_json:
        told = [asdict(result) | {"sentence": result.sentence} for result in results]
        _print_json({"tried": told, "k": k, "left_out_of_the_shift": dict(recorded.left_out)})
        return
    for result in results:
        print(result.sentence)
    for what, count in recorded.left_out.items():
        print(f"  left out of the shift: {what} ({count:,})")


def sign(
    paper: Paper,
    *,
    agency: Annotated[str, typer.Option("--agency", help="Who signs: the provider or the receiver.")],
    key: Annotated[Path, typer.Option("--key", exists=True, dir_okay=False, help="Its private key.")],
    only: Annotated[str | None, typer.Option("--only", metavar="ID", help="One agreement of the file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Sign the terms of agreements, for their `signoffs`.

    Prints the lines to put into each one: the file itself is never changed. A signature is under every word but the
    status and the signatures, so an agreement that is changed has to be signed again, and one that is suspended has
    not.

    \b
      geomatch agreements sign draft.toml --agency hoboken.nj --key hoboken.key
    """
    from geomatch.aid.agreement_files import read_agreements
    from geomatch.aid.signoff import sign as signed

    read = read_agreements([paper])
    private = _private_key(key)
    mine = [one for one in read.all if agency in (one.provider_agency, one.receiver_agency) and only in (None, one.id)]
    if not mine:
        raise BadInput(f"{paper.name} has no agreement of {agency} to sign; check the id that the file has")
    lines = {one.key: signed(one, read.areas, private) for one in mine}
    if as_json:
        _print_json([{"agreement": one, "agency": agency, "signature": text} for one, text in lines.items()])
        return
    for one, text in lines.items():
        print(f'{one}:\n  {{ agency = "{agency}", signature = "{text}" }},')


def keys(
    *,
    agency: Annotated[str, typer.Option("--agency", help="Whose keys these will be.")],
    out: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Where the private key goes: a new file.")
    ],
) -> None:
    """Make an agency's pair of keys, to sign with.

    Writes the private one, and prints the public one for the file of keys. The private key is readable by its owner
    alone, and an existing file is never overwritten.

    \b
      geomatch agreements keys --agency hoboken.nj -o hoboken.key
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    private = Ed25519PrivateKey.generate()
    try:
        handle = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise BadInput(f"{out.name} exists already: a private key is never overwritten; name another file") from None
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(b64encode(private.private_bytes_raw()).decode() + "\n")
    print(f'"{agency}" = "{b64encode(private.public_key().public_bytes_raw()).decode()}"')
    sys.stderr.write(f"geomatch: wrote {out}; put the line above under [keys] in the file of public keys\n")


def _private_key(path: Path) -> bytes:
    """Base64 of 32 bytes, as `keys` writes it, or the bytes themselves."""
    raw = path.read_bytes()
    if len(raw) == KEY_BYTES:
        return raw
    try:
        key = b64decode(raw.strip(), validate=True)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise BadInput(f"{path.name} is no Ed25519 private key: make one with `geomatch agreements keys`")
    return key


def _print_json(value: object) -> None:
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
