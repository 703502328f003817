"""`geomatch settings`: what may be set of the service, and what it is where nothing is."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

from geomatch.cli.options import AsJson


def settings(*, as_json: AsJson = False) -> None:
    """List the settings of the service, with their defaults.

    Name, default, kind and meaning are those of the types that the service reads. A name with dots is in a table, and
    one with [] in each of a list of tables.

    \b
      geomatch settings
      geomatch settings --json
    """
    from geomatch.service.settings import Settings
    from geomatch.service.settings_table import rows

    told = list(rows(Settings))
    if as_json:
        sys.stdout.write(json.dumps([asdict(row) for row in told], indent=2, ensure_ascii=False) + "\n")
        return
    for row in told:
        default = "no default" if row.default is None else json.dumps(row.default, ensure_ascii=False)
        sys.stdout.write(f"{row.name} = {default}\n    {row.kind}. {row.meaning}\n")
