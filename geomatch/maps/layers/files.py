"""Reads one layer of a GIS file, whatever its format, into NENA's field names, or says why it cannot be read.

GeoPackage, GeoJSON, Shapefile, file geodatabase and FlatGeobuf through pyogrio (GDAL). Nothing is repaired here, and
the coordinate system is the file's own, or the one given: never assumed.
"""

from __future__ import annotations

import struct
import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import shapely

from geomatch.errors import BadMap
from geomatch.maps.layers.field_mapping import FieldMapping, mapped_columns
from geomatch.maps.layers.nena import FIELD_NAMES, LAYERS, LayerSchema, schema_of
from geomatch.quantities import Bools, Floats, Metres

if TYPE_CHECKING:
    from pyproj import CRS

_TYPES = {"OFTString": "text", "OFTDateTime": "datetime", "OFTDate": "datetime"}


@dataclass(frozen=True, eq=False, kw_only=True)
class LayerTable:
    """Features as they stand in the file, F of them, columns under NENA's names."""

    name: str
    schema: LayerSchema | None
    """What NENA layer it is, as far as its name or the mapping file says."""
    columns: Mapping[str, np.ndarray]
    """(F,) text, number or None each; known fields only."""
    types: Mapping[str, str]
    """text, datetime or number: what the file declares the column to be; text for one that is mapped."""
    geometry: np.ndarray
    """(F,) in the file's coordinates, two-dimensional; None: none, or unreadable."""
    unreadable: Bools
    """(F,) there is a geometry, but no program can read it."""
    curved: Bools
    """(F,) drawn with arcs; `geometry` has straight pieces instead."""
    crs: CRS
    warnings: tuple[str, ...]

    @property
    def features(self) -> int:
        return len(self.geometry)

    def rows(self, rows: npt.NDArray[np.intp]) -> LayerTable:
        """Some of the features, in the order given."""
        return replace(
            self,
            columns={name: values[rows] for name, values in self.columns.items()},
            geometry=self.geometry[rows],
            unreadable=self.unreadable[rows],
            curved=self.curved[rows],
        )


def layer_names(path: Path, layer: str | None, *, is_known: Callable[[str], object] = schema_of) -> tuple[str, ...]:
    """The layers to read: the one asked for, the only one, or all whose name is known: NENA's service layers."""
    import pyogrio

    _check_file(path)
    listed = _gdal(path, lambda: pyogrio.list_layers(path))
    names = [str(name) for name, shape in listed if shape is not None or len(listed) == 1]
    if layer is not None:
        if layer not in names:
            raise BadMap(f"{path.name} has no layer {layer!r} of features; it has {', '.join(names) or 'none'}")
        return (layer,)
    if len(names) == 1:
        return (names[0],)
    if known := tuple(name for name in names if is_known(name)):
        return known
    if not names:
        raise BadMap(f"{path.name} holds no layer with features on a map: is it the right file?")
    raise BadMap(f"{path.name} holds {len(names)} layers, none with a NENA name: say which, of {', '.join(names)}")


def read_table(
    path: Path, layer: str, mapping: FieldMapping, crs: str | None, *, known: Collection[str] = FIELD_NAMES
) -> LayerTable:
    """Raises BadMap when the file is damaged, names no coordinate system, or lacks a column the mapping names.

    Columns that are neither `known` fields nor mapped to one are left out.
    """
    import pyogrio

    # Dates as text: GDAL then keeps the offset that the file states, in every format.
    meta, _, wkb, values = _gdal(path, lambda: pyogrio.raw.read(path, layer=layer, datetime_as_string=True))
    if wkb is None:
        raise BadMap(f"layer {layer!r} of {path.name} is a table without geometry: name a layer with features on a map")
    columns: dict[str, Any] = dict(zip(map(str, meta["fields"]), values, strict=True))
    declared = {
        name.lower(): _TYPES.get(kind, "number")
        for name, kind in zip(map(str, meta["fields"]), meta["ogr_types"], strict=True)
    }
    geometry, unreadable = _shapes(wkb)
    mapped = mapped_columns(columns, len(wkb), mapping, path.name, known=known)
    own = {field for rename in mapping.renames for field in (*rename.fields, *rename.constants)}
    schema = LAYERS.get(mapping.layer) if mapping.layer else schema_of(layer) or schema_of(path.stem)
    if mapping.layer and schema is None:
        raise BadMap(f"the mapping file says layer {mapping.layer!r}; known are {', '.join(LAYERS)}")
    return LayerTable(
        name=layer,
        schema=schema,
        columns=mapped,
        types={field: "text" if field in own else declared.get(field.lower(), "text") for field in mapped},
        geometry=geometry,
        unreadable=unreadable,
        curved=_curved(path, layer, len(wkb)),
        crs=_crs(path, meta["crs"], crs or mapping.crs),
        warnings=(),
    )


def to_lonlat(table: LayerTable) -> tuple[np.ndarray, tuple[str, ...]]:
    """Geometry in WGS 84 degrees, and warnings where the best datum shift is not to be had.

    Raises BadMap for degrees that are none, as metres taken for degrees, or latitude before longitude.
    """
    said: tuple[str, ...] = ()
    geometry = table.geometry
    if not _is_wgs84(table.crs):
        said = _missing_grids(table)
        geometry = shapely.transform(geometry, way_to_lonlat(table.crs))
    bounds = shapely.bounds(geometry[shapely.is_geometry(geometry) & ~shapely.is_empty(geometry)])
    if len(bounds):
        _check_degrees(table, bounds)
    return geometry, said


def way_to_lonlat(crs: CRS) -> Callable[[Floats], Floats]:
    """Points (P, 2) of a coordinate system into WGS 84 degrees. Takes tens of milliseconds to find: keep it."""
    from pyproj import Transformer

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a missing grid is told once, by `to_lonlat`
        way = Transformer.from_crs(crs, "OGC:CRS84", always_xy=True)

    def turn(points: Floats) -> Floats:
        return np.column_stack(way.transform(points[:, 0], points[:, 1]))

    return turn


def _missing_grids(table: LayerTable) -> tuple[str, ...]:
    """In words for the one who loads the layer, where the best datum shift needs a grid that is not there."""
    from pyproj.transformer import TransformerGroup

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        group = TransformerGroup(table.crs, "OGC:CRS84", always_xy=True)
    if group.best_available:
        return ()
    missing = sorted({grid.short_name for one in group.unavailable_operations for grid in one.grids})
    good_to = group.transformers[0].accuracy if group.transformers else -1.0
    sentence = (
        f"layer {table.name!r}: the best datum shift from {table.crs.name} needs a grid that is not installed "
        f"({', '.join(missing[:3])}{' ...' if len(missing) > 3 else ''}); the one used is good to "
        f"{f'{good_to:g} m' if good_to >= 0 else 'an unknown error'}"
    )
    return (sentence,)


def with_short_edges(table: LayerTable, longest_m: Metres) -> LayerTable:
    """The same outlines, cut into straight pieces, since a straight line of one projection is a curve in another.

    For a table that `to_lonlat` found to be on the globe: an edge as long as a number can be would fill the memory.
    """
    axis = table.crs.axis_info[0]
    unit_m = 111_700.0 if table.crs.is_geographic else axis.unit_conversion_factor
    return replace(table, geometry=shapely.segmentize(table.geometry, longest_m / unit_m))


def _check_degrees(table: LayerTable, bounds: np.ndarray) -> None:
    # Written so that NaN and infinity fail too. A feature that is off by itself is for `check` to find, all are not.
    inside = (bounds[:, 0] >= -180.0) & (bounds[:, 2] <= 180.0) & (bounds[:, 1] >= -90.0) & (bounds[:, 3] <= 90.0)
    if np.count_nonzero(inside) * 2 > len(inside):
        return
    swapped = (np.abs(bounds[:, [1, 3]]) <= 180.0).all() and (np.abs(bounds[:, [0, 2]]) <= 90.0).all()
    if swapped:
        raise BadMap(f"layer {table.name!r} has latitude before longitude: write longitude first")
    raise BadMap(
        f"layer {table.name!r} says its coordinates are {table.crs.name}, but they are no degrees on the globe: "
        "name the coordinate system it was drawn in"
    )


def _is_wgs84(crs: CRS) -> bool:
    from pyproj import CRS as Crs  # noqa: N811 - the class is imported for types only, above

    return bool(crs.equals(Crs("OGC:CRS84"), ignore_axis_order=True))


def _crs(path: Path, said: str | None, given: str | None) -> CRS:
    from pyproj import CRS as Crs  # noqa: N811 - as above
    from pyproj.exceptions import CRSError

    try:
        own = Crs.from_user_input(said) if said else None
        asked = Crs.from_user_input(given) if given else None
    except CRSError:
        raise BadMap(f"{path.name}: {given or said!r} is no coordinate system: write it as EPSG:4326") from None
    if own is not None and asked is not None and not own.equals(asked, ignore_axis_order=True):
        raise BadMap(f"{path.name} says its coordinates are {own.name}, not {asked.name}: leave out what you gave")
    crs = own or asked
    if crs is None:
        raise BadMap(f"{path.name} names no coordinate system (a Shapefile needs its .prj): give it, as crs EPSG:4326")
    if not (crs.is_geographic or crs.is_projected):
        raise BadMap(f"{path.name}: {crs.name} is no place on the globe: give a geographic or projected system")
    return crs


def _shapes(wkb: np.ndarray) -> tuple[np.ndarray, Bools]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # counted by the caller, as `unreadable`
        geometry = shapely.force_2d(shapely.from_wkb(wkb, on_invalid="ignore"))
    there = np.array([piece is not None for piece in wkb], dtype=bool)
    unreadable: Bools = there & ~shapely.is_geometry(geometry)
    return geometry, unreadable


def _curved(path: Path, layer: str, rows: int) -> Bools:
    """GDAL straightens arcs in silence, so the kind of each geometry is asked for by itself."""
    import pyogrio

    none: Bools = np.zeros(rows, dtype=bool)
    if path.suffix.lower() in (".shp", ".geojson", ".json"):
        return none  # these can hold none
    query = f'SELECT OGR_GEOMETRY FROM "{layer}"'  # noqa: S608 - GDAL's own SQL on a file that is only read
    _, _, _, values = _gdal(path, lambda: pyogrio.raw.read(path, sql=query, sql_dialect="OGRSQL", read_geometry=False))
    kinds = ("CURVE", "SURFACE", "CIRCULAR")
    curved = [any(kind in str(value).upper() for kind in kinds) for value in values[0]] if len(values) else []
    return np.array(curved, dtype=bool) if len(curved) == rows else none


def _gdal(path: Path, read: Any) -> Any:
    """GDAL's errors are of many types and name its own options: one sentence instead, with the fault it named."""
    import pyogrio

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return read()
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, pyogrio.errors.FeatureError) as fault:
        said = str(fault).partition(";")[0].replace(f"{path.parent}/", "").strip(" .'")
        raise BadMap(f"{path.name} is damaged or of no known format ({said}): export the layer again") from None
    except (UnicodeDecodeError, IndexError, ValueError, MemoryError, RuntimeError):
        raise BadMap(f"{path.name} is damaged or of no known format: export the layer again") from None


def _check_file(path: Path) -> None:
    if not path.exists():
        raise BadMap(f"there is no file {path.name} at the place given: correct the path")
    if path.is_dir() and path.suffix.lower() != ".gdb":
        raise BadMap(f"{path.name} is a folder, and no file geodatabase (.gdb): name a file")
    if path.is_file() and path.stat().st_size == 0:
        raise BadMap(f"{path.name} is empty: export the layer again")
    if path.suffix.lower() == ".shp":
        _check_shapefile(path)


def _check_shapefile(path: Path) -> None:
    """GDAL reads a Shapefile that was cut short without a word, the rest as features without geometry."""
    dbf = next((one for one in (path.with_suffix(".dbf"), path.with_suffix(".DBF")) if one.exists()), None)
    if dbf is None:
        raise BadMap(f"{path.name} came without its .dbf, which holds its fields: copy all parts of the Shapefile")
    with path.open("rb") as shp:
        head = shp.read(28)
    with dbf.open("rb") as table:
        fields = table.read(12)
    if len(head) < 28 or struct.unpack(">i", head[:4])[0] != 9994 or len(fields) < 12:
        raise BadMap(f"{path.name} is no Shapefile, though its name says so: export the layer again")
    (words,) = struct.unpack(">i", head[24:28])
    rows, header, width = struct.unpack("<IHH", fields[4:12])
    if path.stat().st_size < 2 * words or dbf.stat().st_size < header + rows * width:
        raise BadMap(f"{path.name} was cut short: copy or export all parts of the Shapefile again")
