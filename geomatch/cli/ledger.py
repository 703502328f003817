"""`geomatch ledger`: who gave whom how much cover."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from geomatch.cli.options import AsJson, RegionFolder, ShiftFile, ShiftFleet, recorded_shift


def ledger(
    region: RegionFolder,
    *,
    shift: ShiftFile,
    fleet: ShiftFleet = None,
    agency: Annotated[str | None, typer.Option("--agency", help="Only what this one gave and took.")] = None,
    as_json: AsJson = False,
) -> None:
    """Count the cover agencies would have given in a recorded shift.

    It is counted second by second, by who gave it to whom. A shift says which stops were made, not who came. So at each
    stop the soonest units that may go are taken to have been sent, until its need was met, and to have stayed until it
    was over.

    \b
      geomatch ledger hudson.region --shift friday.ndjson.gz --fleet units.geojson
    """
    from dataclasses import asdict

    from geomatch.aid.ledger import Ledger
    from geomatch.backup.recorded import lend
    from geomatch.quantities import format_time
    from geomatch.region import Region

    opened = Region.open(region)
    recorded = recorded_shift(opened, shift, fleet)
    since = recorded.moments[0].now
    lent = lend(opened, recorded)
    book = Ledger(lent, since=since, until=recorded.until)
    balances = [one for one in book.balances() if agency in (None, one.agency, one.other)]
    if as_json:
        told = {
            "since": format_time(since), "until": format_time(recorded.until), "stops": len(recorded.moments),
            "units_lent": len(lent), "as_if_the_soonest_were_sent": True,
            "balances": [asdict(one) | {"balance_s": one.balance_s, "sentence": one.sentence} for one in balances],
        }  # fmt: skip
        sys.stdout.write(json.dumps(told, indent=2, ensure_ascii=False) + "\n")
        return
    period = f"{format_time(since)} to {format_time(recorded.until)}"
    print(f"{period}: {len(recorded.moments)} stops, {len(lent)} units lent, had the soonest that may go been sent")
    for one in balances:
        print(f"  {one.sentence}")
