"""The demonstration: a made-up town in two states, its fleet, and simulated patrols that drive around in it."""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import geomatch
from geomatch.fleet.files import read_fleet
from geomatch.fleet.simulate import Patrol, Patrols
from geomatch.maps.builtin import builtin_data
from geomatch.matcher import Matcher
from geomatch.model import Availability, Need, Ranking, Stop, UnitState, Urgency
from geomatch.quantities import LonLat, Seconds, UnixTime
from geomatch.region import Region

NOTES = ("simulated",)
"""Told in every ranking of the demonstration."""
SEED = 20_260_307
STEP_S: Seconds = 1.0
"""Between two fixes of a simulated patrol."""
LOST_S: Seconds = 120.0
"""A unit whose fix in the file is older than this beside the newest has lost its radio."""
SHIFT_S: Seconds = 8 * 3600.0


STOP = Stop(
    id="demo",
    at=LonLat(-101.56248, 45.32905),
    urgency=Urgency.urgent_backup,
    need=Need(officers=2),
)
"""On Levee Road, east of the river and between two bridges: cars of the other state are near, and far by road."""


@dataclass(frozen=True, kw_only=True)
class Demo:
    """A matcher that holds the made-up fleet, and a stop to rank for."""

    matcher: Matcher
    states: list[UnitState]
    stop: Stop
    now: UnixTime
    """When the fleet file was taken: its newest fix."""

    def rank(self, k: int, *, now: UnixTime) -> Ranking:
        """The stop's ranking, labelled simulated."""
        ranking = self.matcher.rank(self.stop, k, now=now)
        return replace(ranking, notes=(*ranking.notes, *NOTES))


def prepare(*, progress: Callable[[str, float], None] | None = None) -> Demo:
    """Opens the built-in region, building it first where this version has not yet; some seconds then."""
    region = builtin_region(progress=progress)
    states = read_fleet(builtin_data() / "metro" / "fleet.geojson")
    matcher = Matcher(region)
    matcher.register([state.unit for state in states])
    fixes = [state.fix for state in states if state.fix is not None]
    matcher.update(fixes)
    for state in states:
        held = state.status
        matcher.set_status(state.unit.id, availability=held.availability, activity=held.activity, at=held.at)
    return Demo(matcher=matcher, states=states, stop=STOP, now=max(fix.time for fix in fixes))


def drive(demo: Demo, *, clock: Callable[[], UnixTime], over: threading.Event) -> None:
    """Sets the patrols on the road until `over` is set: a fix of each a second, from a thread of its own.

    They start where the fleet file has them. A unit that the file has lost stays lost; one that is busy stays put.
    """
    begun = clock()
    alive = [state for state in demo.states if state.fix is not None and demo.now - state.fix.time <= LOST_S]
    homes = [Patrol(unit=state.unit.id, home=state.fix.at) for state in alive if state.fix is not None]
    patrols = Patrols(demo.matcher.region.network, homes, now=begun, rng=np.random.default_rng(SEED))
    for state in alive:
        if state.status.availability is Availability.not_available:
            patrols.hold(state.unit.id, begun + SHIFT_S)
    demo.matcher.update(patrols.advance(begun))

    def go_on() -> None:
        last = begun
        while not over.wait(STEP_S):
            last = max(last, clock())
            demo.matcher.update(patrols.advance(last))

    threading.Thread(target=go_on, name="simulated patrols", daemon=True).start()


def builtin_region(*, progress: Callable[[str, float], None] | None = None) -> Region:
    """From the cache, or built into it. The folder's name carries what it was made from, so an old one is not used."""
    from geomatch.maps.build import build

    data = builtin_data() / "metro"
    source, areas, papers = data / "metro.osm.pbf", data / "jurisdictions.geojson", data / "agreements.toml"
    keys, words = data / "agency_keys.toml", data / "vocabulary.toml"
    folder = cache_folder() / f"metro-{_made_from([source, areas, papers, keys, words])}.region"
    if folder.is_dir():
        return Region.open(folder)
    return build(
        source,
        folder,
        jurisdictions=areas,
        agreements=papers,
        agency_keys=keys,
        vocabulary=words,
        progress=progress,
    )


def cache_folder() -> Path:
    """GEOMATCH_CACHE, or the user's cache folder, or one that is gone after a restart where neither can be written."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(os.environ.get("GEOMATCH_CACHE") or Path(home) / "geomatch")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        folder = Path(tempfile.gettempdir()) / "geomatch"
        folder.mkdir(exist_ok=True)
    return folder


def _made_from(sources: list[Path]) -> str:
    """A hash of the maps and of the code that compiles them: 100 small files, a few milliseconds."""
    digest = hashlib.sha256()
    package = Path(geomatch.__file__).parent
    for path in [*sources, *sorted(package.rglob("*.py"))]:
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:12]
