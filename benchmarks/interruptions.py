"""A night shift on the built-in metro: how often is one dispatch position interrupted, with forty stops open at a time?

    python benchmarks/interruptions.py               twelve hours, one seed: some minutes
    python benchmarks/interruptions.py --seeds 5

160 simulated patrol units, forty stops open at any time, all of one position, which is more than anybody is given. Its
dispatcher sends another than the first three times of ten, and follows every advice. Checked: at most six
interruptions in any hour but for officer emergencies, which always interrupt; no stop gets a unit back that was sent
away from it, no assignment is advised on twice, and whatever was held back came all the same, silently.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from measure import CHECKOUT, machine

sys.path.insert(0, str(CHECKOUT / "tests"))

from forty_stops import Shift, most_turns, shift, worst_hour

import geomatch
from geomatch import Urgency
from geomatch.maps.builtin import builtin_data

MOST_AN_HOUR = 6
STEP_S = 15.0


def told(made: Shift, seed: int, hours: float) -> dict[str, Any]:
    routine = [one for one in made.events if one.urgency is not Urgency.officer_emergency]
    times = [one.at for one in routine if one.interrupts]
    same_unit, same_advice = most_turns(made)
    return {
        "seed": seed, "hours": hours, "stops": made.opened, "assigned": len(made.served),
        "interruptions_in_the_worst_hour": worst_hour(times), "interruptions_an_hour": round(len(times) / hours, 2),
        "of_emergencies": sum(one.interrupts for one in made.events) - len(times),
        "held_back": sum(one.held_back for one in made.events),
        "events": dict(Counter(one.kind.value for one in made.events)),
        "most_times_a_stop_got_a_unit": same_unit, "most_times_an_assignment_was_advised_on": same_advice,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=12.0)
    parser.add_argument("--seeds", type=int, default=1)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        region = geomatch.build(builtin_data() / "metro" / "metro.osm.pbf", Path(folder) / "metro.region")
        reports = [
            told(shift(region, chosen.hours * 3600.0, STEP_S, seed=seed), seed, chosen.hours)
            for seed in range(1, 1 + chosen.seeds)
        ]
    print(json.dumps({"machine": machine(), "shifts": reports}, indent=1))
    for one in reports:
        if one["interruptions_in_the_worst_hour"] > MOST_AN_HOUR:
            sys.exit("a position was interrupted more often than the budget")
        if one["most_times_a_stop_got_a_unit"] > 1 or one["most_times_an_assignment_was_advised_on"] > 1:
            sys.exit("ping-pong")


if __name__ == "__main__":
    main()
