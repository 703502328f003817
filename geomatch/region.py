"""A built region: one folder of plain arrays and one content hash, opened by mapping it into memory.

    hudson.region/
      region.json          what it is: format, name, attribution, projection, hash, the report of its build
      roads/*.npy          the RoadNetwork
      search/*.npy         its arcs turned round
      hierarchy/*.npy      its states in the order that makes every question quick
      snap/*.npy           the grid over its pieces of road
      jurisdictions/       who is responsible where, when layers were loaded
      agreements/*.toml    who may go where, when agreements were loaded
      vocabulary/*.toml    what the agencies' own words and codes mean, when vocabularies were loaded
      markers/             mile markers along the roads, when a layer of them was loaded

A region never changes while it is used; a new one is built beside it and swapped in whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from geomatch.aid.agreements import Agreements
from geomatch.aid.eligibility import Eligibility
from geomatch.aid.jurisdictions import Jurisdictions
from geomatch.aid.places import Places
from geomatch.aid.vocabulary import Vocabularies
from geomatch.errors import BadRegion
from geomatch.quantities import LonLat, Projection
from geomatch.road.hierarchy import Hierarchy
from geomatch.road.markers import Markers
from geomatch.road.network import RoadNetwork
from geomatch.road.plausible import Plausible
from geomatch.road.roads import Roads
from geomatch.road.snap import Snapper
from geomatch.road.travel_time import ArcsByHead

FORMAT = 2
MANIFEST = "region.json"
ROADS, SEARCH, HIERARCHY, SNAP = "roads", "search", "hierarchy", "snap"
JURISDICTIONS, AGREEMENTS = "jurisdictions", "agreements"
MARKERS, VOCABULARY = "markers", "vocabulary"

Arrays = TypeVar("Arrays")


@dataclass(frozen=True, kw_only=True)
class Region:
    """Everything about a place that a ranking needs. Immutable and shared by all threads."""

    name: str
    hash: str
    """SHA-256 of the arrays and the layers, hex: the same map and the same settings give the same one."""
    attribution: str
    """Of the map's source; to be shown with every answer that uses it."""
    network: RoadNetwork
    times: Roads
    snapper: Snapper
    jurisdictions: Jurisdictions | None
    agreements: Agreements | None
    eligibility: Eligibility
    """Who may go, under those agreements on those jurisdictions."""
    report: Mapping[str, Any]
    """What the build met, guessed and left out."""
    markers: Markers | None = None
    """Mile markers, where places are said by them."""
    vocabularies: Vocabularies = field(default_factory=Vocabularies)
    """What the agencies' own words mean; without any, only the canonical words are understood."""

    @classmethod
    def open(cls, folder: str | Path) -> Region:
        """Maps a region into memory: milliseconds, whatever its size. Raises BadRegion when it is none or is damaged.

        The hash is not computed again: `verify` does that.
        """
        folder = Path(folder)
        manifest = _manifest(folder)
        projection = Projection(LonLat(*manifest["centre"]))
        try:
            network = _load(RoadNetwork, folder / ROADS, projection=projection)
            arcs = _load(ArcsByHead, folder / SEARCH)
            hierarchy = _load(Hierarchy, folder / HIERARCHY)
            shared = {"x": network.geometry_x, "y": network.geometry_y, "edge_length_m": network.edge_length_m}
            snapper = _load(Snapper, folder / SNAP, projection=projection, **shared)
            layers = folder / JURISDICTIONS
            jurisdictions = Jurisdictions.from_files(layers) if layers.is_dir() else None
            papers = sorted((folder / AGREEMENTS).glob("*.toml"))
            agreements = _agreements(papers) if papers else None
            words = sorted((folder / VOCABULARY).glob("*.toml"))
            vocabularies = _vocabularies(words) if words else Vocabularies()
            markers = Markers.from_files(folder / MARKERS) if (folder / MARKERS).is_dir() else None
        except (OSError, ValueError, KeyError) as error:
            raise BadRegion(f"{folder}: the region is damaged ({error}); build it again") from error
        return cls(
            name=manifest["name"], hash=manifest["hash"], attribution=manifest["attribution"], network=network,
            times=Roads(network, arcs, hierarchy), snapper=snapper, jurisdictions=jurisdictions, agreements=agreements,
            eligibility=Eligibility(Places(
                agreements=agreements or Agreements(()), jurisdictions=jurisdictions, projection=projection
            )),
            report=manifest["report"], markers=markers, vocabularies=vocabularies,
        )  # fmt: skip

    def under(self, agreements: Agreements) -> Region:
        """The same place under other papers, as to try out a draft. Nothing on disk changes, nor does the hash."""
        places = Places(agreements=agreements, jurisdictions=self.jurisdictions, projection=self.network.projection)
        return replace(self, agreements=agreements, eligibility=Eligibility(places))

    @cached_property
    def plausible(self) -> Plausible:
        """Which roads a unit may be on."""
        return Plausible(self.network, self.snapper)

    @property
    def bounds(self) -> tuple[LonLat, LonLat]:
        """South-west and north-east of the box around all roads."""
        west, south, east, north = self.snapper.extent_xy
        lon, lat = self.network.projection.inverse([west, east, west, east], [south, south, north, north])
        return LonLat(float(lon.min()), float(lat.min())), LonLat(float(lon.max()), float(lat.max()))


def _agreements(papers: list[Path]) -> Agreements:
    # Imported here: reading agreements takes pydantic, and a region without them should open without it.
    from geomatch.aid.agreement_files import read_agreements

    return read_agreements(papers)


def _vocabularies(papers: list[Path]) -> Vocabularies:
    from geomatch.aid.vocabulary import read_vocabularies

    return read_vocabularies(papers)


def verify(folder: str | Path) -> None:
    """Raises BadRegion unless the folder's contents still have the hash they were built with. Reads every byte."""
    folder = Path(folder)
    if content_hash(folder) != _manifest(folder)["hash"]:
        raise BadRegion(f"{folder}: its files are not those it was built with; build it again")


def content_hash(folder: Path) -> str:
    """SHA-256 over the names and bytes of every file but the manifest, in order of name."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.name != MANIFEST):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
        digest.update(path.stat().st_size.to_bytes(8, "big"))
        digest.update(path.read_bytes())
    return digest.hexdigest()


def write_region(
    out: Path,
    network: RoadNetwork,
    *,
    name: str,
    attribution: str,
    report: Mapping[str, Any],
    jurisdictions: Jurisdictions | None = None,
    agreements: tuple[Path, ...] = (),
    markers: Markers | None = None,
    vocabulary: tuple[Path, ...] = (),
) -> None:
    """Writes a region folder, whole or not at all: an older region in its place is swapped out at the very end."""
    if out.exists() and not (out / MANIFEST).is_file():
        raise BadRegion(f"{out} exists and is no region: name another folder")
    building = out.with_name(f".{out.name}.building-{os.getpid()}")
    shutil.rmtree(building, ignore_errors=True)
    try:
        _save(network, building / ROADS)
        _save(ArcsByHead.of(network), building / SEARCH)
        _save(Hierarchy.of(network), building / HIERARCHY)
        _save(Snapper.of(network), building / SNAP, leave_out=("x", "y", "edge_length_m"))
        if jurisdictions is not None:
            (building / JURISDICTIONS).mkdir()
            jurisdictions.to_files(building / JURISDICTIONS)
        for part, papers in ((AGREEMENTS, agreements), (VOCABULARY, vocabulary)):
            for number, paper in enumerate(papers):
                (building / part).mkdir(exist_ok=True)
                shutil.copyfile(paper, building / part / f"{number:03d}-{paper.name}")
        if markers is not None:
            (building / MARKERS).mkdir()
            markers.to_files(building / MARKERS)
        centre = network.projection.centre
        manifest = {
            "format": FORMAT, "name": name, "hash": content_hash(building), "attribution": attribution,
            "centre": [centre.lon, centre.lat], "report": report,
        }  # fmt: skip
        (building / MANIFEST).write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        _swap(building, out)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _swap(new: Path, out: Path) -> None:
    """Puts `new` in the place of `out`. A reader that has the old one open keeps it: its files stay mapped."""
    old = out.with_name(f".{out.name}.old-{os.getpid()}")
    if out.exists():
        out.rename(old)
    new.rename(out)
    shutil.rmtree(old, ignore_errors=True)


def activate(new: str | Path, region: str | Path) -> None:
    """Puts a copy of `new` in the place of `region`, which stays beside it for `rollback`. A service that has `region`
    open goes on with the old one until it opens the new. Raises BadRegion, and changes nothing, where `new` is damaged.
    """
    new, region = Path(new), Path(region)
    verify(new)
    _manifest(region)
    copy = region.with_name(f".{region.name}.activating-{os.getpid()}")
    try:
        shutil.copytree(new, copy)
        _exchange(copy, region)
    finally:
        shutil.rmtree(copy, ignore_errors=True)


def rollback(region: str | Path) -> None:
    """Puts the region that was there before back in its place, and this one beside it: called twice, nothing changes.
    Raises BadRegion where there is none."""
    region = Path(region)
    before = _previous(region)
    if not (before / MANIFEST).is_file():
        raise BadRegion(f"{region}: there is no older region to go back to; nothing was ever activated over it")
    verify(before)
    aside = region.with_name(f".{region.name}.going-back-{os.getpid()}")
    before.rename(aside)
    _exchange(aside, region)


def _exchange(new: Path, region: Path) -> None:
    """`region` becomes the previous one, `new` becomes `region`: two renames, microseconds apart."""
    before = _previous(region)
    shutil.rmtree(before, ignore_errors=True)
    region.rename(before)
    new.rename(region)


def _previous(region: Path) -> Path:
    return region.with_name(f".{region.name}.previous")


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    if not path.is_file():
        raise BadRegion(f"{folder} is no region: make one with `geomatch build SOURCE -o {folder}`")
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        found = manifest["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise BadRegion(f"{path} cannot be read; build the region again") from error
    if found != FORMAT:
        raise BadRegion(f"{folder} has format {found}, this version reads format {FORMAT}: build the region again")
    return manifest


def _save(arrays: object, folder: Path, *, leave_out: tuple[str, ...] = ()) -> None:
    folder.mkdir(parents=True)
    for part in fields(arrays):  # type: ignore[arg-type]  # a dataclass of arrays
        value = getattr(arrays, part.name)
        if isinstance(value, np.ndarray) and part.name not in leave_out:
            np.save(folder / f"{part.name}.npy", np.ascontiguousarray(value), allow_pickle=False)


def _load(kind: type[Arrays], folder: Path, **others: object) -> Arrays:
    # Mode "c" maps the file privately: never written back, and for numba the same type as an array in memory.
    names = [part.name for part in fields(kind) if part.init and part.name not in others]  # type: ignore[arg-type]  # a dataclass
    paths = {name: folder / f"{name}.npy" for name in names}
    # An empty array cannot be mapped, and mapping a page costs more than reading it.
    arrays = {
        name: np.load(path, mmap_mode="c" if path.stat().st_size > 4096 else None, allow_pickle=False).view(np.ndarray)
        for name, path in paths.items()
    }
    return kind(**arrays, **others)
