"""An agency's centrelines make the roads the layer draws: no more joins, no less, and the same times both ways."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

import geopandas
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import LineString
from streets import PROJECTION, Street, streets

from geomatch.errors import BadInput, BadMap
from geomatch.maps.centrelines.export import export_centrelines
from geomatch.maps.centrelines.read import join_ends, read_centrelines
from geomatch.maps.network.expand import expand
from geomatch.maps.osm import read_osm
from geomatch.maps.streets.segments import haversine_m
from geomatch.maps.streets.source import ReadReport
from geomatch.maps.streets.speeds import KPH_OF_MPH, impute_speeds
from geomatch.quantities import LonLat, Projection, parse_time
from geomatch.road.network import EdgeFlag, RoadClass

ABOUT = {"agency": "gis.county.us", "country": "US", "state": "MN", "updated": 1.7e9, "attribution": "made up"}
FORMATS = {"gpkg": "GPKG", "geojson": "GeoJSON", "shp": "ESRI Shapefile", "fgb": "FlatGeobuf", "gdb": "OpenFileGDB"}


def layer(*lines, crs="EPSG:4326", home=PROJECTION, **columns):
    """RoadCenterLine features through points in metres; columns are lists, or one value for all."""
    shapes = [LineString(np.column_stack(home.inverse(*np.array(line, float).T))) for line in lines]
    rows = {
        "NGUID": [f"urn:emergency:uid:gis:RCL:{i}:county.us" for i in range(len(lines))], "DiscrpAgID": "gis.county.us",
        "St_Name": "Main", "RoadClass": "Local", "OneWay": "B", "SpeedLimit": 30, "Country_L": "US", "Country_R": "US",
    }  # fmt: skip
    rows = {key: value for key, value in (rows | columns).items() if value is not ...}
    rows = {key: value if isinstance(value, list) else [value] * len(lines) for key, value in rows.items()}
    return geopandas.GeoDataFrame(rows, geometry=shapes, crs="EPSG:4326").to_crs(crs)


def write(frame, folder, ending="gpkg", name="RoadCenterLine"):
    path = folder / f"{name}.{ending}"
    several = {"layer": name} if ending in ("gpkg", "gdb") else {}
    if ending == "gdb":
        several["promote_to_multi"] = True
    frame.to_file(path, driver=FORMATS[ending], **several)
    return path


def read(frame, folder, **how):
    return read_centrelines(write(frame, folder), drive_on="right", **how)


CROSS = [[(0, 0), (100, 0)], [(100, 0), (200, 0)], [(100, 0), (100, 90)]]


def held_by_the_schema(source):
    """What a RoadCenterLine layer can hold of a source, done the slow and obvious way."""
    gone = EdgeFlag.emergency_only | EdgeFlag.reversible
    kept = np.flatnonzero(
        ((source.segment_flags & int(gone)) == 0) & (source.segment_class != RoadClass.ferry)
        & source.segment_open.any(axis=0)
    )  # fmt: skip
    node_of: dict[tuple[float, float], int] = {}
    lon, lat, first, ends, length, classes, flags, speeds = [], [], [0], [], [], [], [], []
    for row in kept:
        piece = slice(source.geometry_first[row], source.geometry_first[row + 1])
        x, y = source.geometry_lon[piece], source.geometry_lat[piece]
        lon.extend(x)
        lat.extend(y)
        first.append(len(lon))
        ends.append([node_of.setdefault((x[at], y[at]), len(node_of)) for at in (0, -1)])
        length.append(haversine_m(x, y).sum())
        was = EdgeFlag(int(source.segment_flags[row]))
        flags.append(int(was & EdgeFlag.ramp) or int(was & EdgeFlag.private))
        kind = RoadClass(int(source.segment_class[row]))
        if flags[-1] == EdgeFlag.ramp:
            kind = RoadClass.motorway
        elif flags[-1] == EdgeFlag.private or kind in (RoadClass.service, RoadClass.track):
            kind = RoadClass.service
        elif kind <= RoadClass.trunk:
            kind = RoadClass.trunk if source.segment_open[:, row].all() else RoadClass.motorway
        else:
            kind = RoadClass.secondary if kind <= RoadClass.tertiary else RoadClass.residential
        classes.append(kind)
        posted = min(source.segment_speed_kph[way, row] for way in (0, 1) if source.segment_open[way, row])
        speeds.append(np.nan if was & EdgeFlag.assumed_speed else max(round(posted), 1))
    is_open, classes = source.segment_open[:, kept], np.array(classes, np.uint8)
    ramp = np.array(flags) == EdgeFlag.ramp
    speed, assumed = impute_speeds(np.array([speeds, speeds]), is_open, classes, ramp, report := ReadReport())
    places = np.array(list(node_of))
    nothing = np.zeros((2, len(kept)), bool)
    return replace(
        source, node_id=np.arange(len(places)), node_lon=places[:, 0], node_lat=places[:, 1],
        segment_from=np.array(ends, np.int32)[:, 0], segment_to=np.array(ends, np.int32)[:, 1],
        segment_way=source.segment_way[kept], segment_length_m=np.array(length), segment_open=is_open,
        segment_speed_kph=speed, segment_class=classes, segment_name=source.segment_name[kept],
        segment_flags=(np.array(flags) | np.where(assumed, int(EdgeFlag.assumed_speed), 0)).astype(np.int32),
        segment_signal=nothing, segment_stop=nothing, segment_barrier_s=np.zeros((2, len(kept))),
        segment_fixed_s=np.zeros(len(kept)), geometry_first=np.array(first, np.int32), geometry_lon=np.array(lon),
        geometry_lat=np.array(lat), restrictions=[], report=report,
    )  # fmt: skip


def same_times(network, oracle):
    """Every edge, every turn and every cost in every mode."""
    for name in ("edge_ms", "arc_first", "arc_head", "arc_ms", "edge_flags", "edge_twin"):
        np.testing.assert_array_equal(getattr(network, name), getattr(oracle, name), err_msg=name)


def test_rhine_neckar_goes_out_as_centrelines_and_comes_back_with_the_same_times(map_for_oracle, tmp_path):
    source = read_osm(map_for_oracle("rhine-neckar"), drive_on="right")
    path = tmp_path / "rn.gpkg"
    told = export_centrelines(source, path, **(ABOUT | {"country": "DE", "state": "BW"}))
    back = read_centrelines(path, drive_on="right")
    assert back.segments == source.segments - told["roads for emergency vehicles only left out"]
    held = held_by_the_schema(source)
    assert back.report.assumed_speed == held.report.assumed_speed  # guessed again, not read as if it were posted
    network, oracle = expand(back), expand(held)
    same_times(network, oracle)
    assert [network.name(edge) for edge in range(0, network.edges, 997)] == [
        oracle.name(edge) for edge in range(0, oracle.edges, 997)
    ]


GRID = [[(100 * i, 100 * j), (100 * i + 100 * across, 100 * j + 100 * (1 - across))] for i in range(3) for j in range(3)
        for across in (0, 1)]  # fmt: skip


@pytest.mark.parametrize("ending", FORMATS)
def test_every_format_gives_the_same_roads(tmp_path, ending):
    """FlatGeobuf may put the features in another order: compared by id, so by the name of the way."""
    frame = layer(*GRID, OneWay=["B", "FT", "TF"] * 6, St_Name=[f"Nº {i}" for i in range(18)])
    source = read_centrelines(write(frame, tmp_path, ending), drive_on="right")
    rows = sorted(range(18), key=lambda row: int(source.way_names[int(source.segment_way[row])].split(":")[5]))
    assert [source.names[source.segment_name[row]] for row in rows] == [f"Nº {i}" for i in range(18)]
    assert source.segment_open[:, rows].T.tolist() == [[True, True], [True, False], [False, True]] * 6
    assert source.segment_speed_kph[:, rows] == pytest.approx(30 * KPH_OF_MPH)
    assert len(source.node_id) == 4 * 4 - 1
    assert source.attribution == "Road centrelines of gis.county.us"


@pytest.mark.parametrize("ending", ["gpkg", "geojson", "shp", "fgb"])
def test_what_is_exported_is_read_again_in_every_format(tmp_path, ending):
    at = {i: (100.0 * (i % 3), 100.0 * (i // 3)) for i in range(6)}
    ways = {
        7: Street(nodes=(0, 1, 2), one_way=True, kph=50.0, road=RoadClass.primary, name="High Street"),
        8: Street(nodes=(3, 4, 5), kph=30.0), 9: Street(nodes=(1, 4), kph=80.0, flags=int(EdgeFlag.private)),
        10: Street(nodes=(2, 5), kph=70.0, road=RoadClass.motorway, flags=int(EdgeFlag.ramp)),
    }  # fmt: skip
    path = tmp_path / f"out.{ending}"
    network = expand(streets(at, ways))
    export_centrelines(network, path, **ABOUT)
    back = read_centrelines(path, speed_unit="kph", drive_on="right")
    found = {}
    for row, way in enumerate(back.segment_way.tolist()):
        number, nth = back.way_names[way].split(":")[5].split(".")
        found[int(number), int(nth)] = (
            back.segment_open[:, row].sum(), back.segment_speed_kph[0, row], RoadClass(int(back.segment_class[row])),
            int(back.segment_flags[row]), back.names[back.segment_name[row]],
        )  # fmt: skip
    assert found == {
        **dict.fromkeys([(7, 1), (7, 2)], (1, 50.0, RoadClass.secondary, 0, "High Street")),
        **dict.fromkeys([(8, 1), (8, 2)], (2, 30.0, RoadClass.residential, 0, "")),
        (9, 1): (2, 80.0, RoadClass.service, int(EdgeFlag.private), ""),
        (10, 1): (2, 70.0, RoadClass.motorway, int(EdgeFlag.ramp), ""),
    }


def test_lines_join_at_common_ends_only_and_the_rest_is_told(tmp_path):
    """A bridge, a T that nobody split, ends 0.4 m and 4 mm apart, and a stretch drawn twice."""
    frame = layer(
        [(0, 0), (100, 0)], [(50, -50), (50, 50)],  # cross
        [(80, 0), (80, 40)],  # ends on the middle of the first
        [(100.004, 0), (150, 0)],  # joined to the first
        [(150.4, 0), (200, 0)],  # not joined to that
        [(150, 0), (190, 30), (200, 60)], [(190, 30), (200, 60), (230, 60)],  # share a stretch
        NGUID=["one", "over", "tee", "two", "three", "four", "five"],
    )  # fmt: skip
    source = read(frame, tmp_path)
    told = {key: count for key, count in source.report.counts.items() if key.startswith(("line faults", "ends"))}
    assert told == {
        "line faults: crossing": 1, "line faults: near_miss": 1, "line faults: unsplit": 3, "line faults: overlap": 1,
        "ends joined across a gap below the snap distance": 1,
    }  # fmt: skip
    assert "one and over" in next(w for w in source.report.warnings if "cross" in w)
    assert "two and three ends 0.40 m apart" in next(w for w in source.report.warnings if "not joined" in w)
    assert "tee and one" in next(w for w in source.report.warnings if "dead ends" in w)
    assert "four and five" in next(w for w in source.report.warnings if "on top" in w)
    degree = np.bincount(np.concatenate([source.segment_from, source.segment_to]))
    assert sorted(degree) == [1] * 10 + [2, 2]


@settings(max_examples=60)
@given(
    spots=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=2, max_size=24).filter(
        lambda spots: len(spots) % 2 == 0
    ),
    snap_m=st.sampled_from([0.0, 1.05, 3.3]),
)
def test_ends_are_joined_as_by_walking_from_end_to_end(spots, snap_m):
    """Whole metres, so that no distance is near the limit: 1, 1.41, 2, ... 3.16, 3.6."""
    home = Projection(LonLat(10.0, 50.0))
    lonlat = np.column_stack(home.inverse(*np.array(spots, float).T))
    found = join_ends(lonlat, snap_m, ReadReport()).ravel()
    group = list(range(len(spots)))
    for _ in spots:
        for i, a in enumerate(spots):
            for j, b in enumerate(spots):
                if np.hypot(a[0] - b[0], a[1] - b[1]) <= snap_m:
                    group[i] = group[j] = min(group[i], group[j])
    assert [[int(a == b) for b in found] for a in found] == [[int(a == b) for b in group] for a in group]


def test_classes_directions_and_names_are_read_as_the_standard_has_them(tmp_path):
    classes = ["Primary", "Primary", "Secondary", "Local", "Ramp", "Service Drive", "Vehicular Trail", "Stairway",
               "Walkway/Pedestrian Trail", "Alley", "Private", "Parking Lot", "Bridle Path", "Bike Path or Trail",
               "Other", None, "Hovercraft"]  # fmt: skip
    frame = layer(
        *([(0, 10 * i), (100, 10 * i)] for i in range(17)), RoadClass=classes, OneWay=["FT", "B", *["B"] * 14, "Y"],
        St_PreMod=["Old", *[None] * 16], St_PreDir=["North", *[None] * 16], St_PreTyp=["Avenue", *[None] * 16],
        St_PreSep=["of the", *[None] * 16], St_PosTyp=["Road", *["Street"] * 16], St_PosDir=["West", *[None] * 16],
        St_PosMod=["Extended", *[None] * 16], St_Name=["Kings ", *["Elm"] * 12, None, None, None, None],
        LSt_PreDir="E", LSt_Name="OAK", LSt_Typ="ST",
    )  # fmt: skip
    source = read(frame, tmp_path)
    kinds = [
        (RoadClass(int(road)), int(flags))
        for road, flags in zip(source.segment_class, source.segment_flags, strict=True)
    ]
    local = (RoadClass.residential, 0)
    assert kinds == [
        (RoadClass.motorway, 0), (RoadClass.trunk, 0), (RoadClass.secondary, 0), local,
        (RoadClass.motorway, int(EdgeFlag.ramp)), (RoadClass.unclassified, 0), (RoadClass.service, 0),
        (RoadClass.service, int(EdgeFlag.private)), (RoadClass.service, int(EdgeFlag.destination)), local, local, local,
    ]  # fmt: skip
    called = [source.names[row] for row in source.segment_name]
    assert called[0] == "Old North Avenue of the Kings Road West Extended"
    assert called[1:9] == ["Elm Street"] * 8
    assert called[9:] == ["E OAK ST"] * 3
    counts = source.report.counts
    assert sum(count for key, count in counts.items() if key.startswith("ways left out: RoadClass")) == 5
    assert counts["ways of RoadClass Other or none that is known, taken as Local"] == 3
    assert source.report.unread_values == {"RoadClass=Hovercraft": 1, "OneWay=Y": 1}
    assert any("none of B, FT and TF" in warning for warning in source.report.warnings)


def speed_of(frame, folder, **how):
    return read(frame, folder, **how).segment_speed_kph[0].tolist()


def test_a_speed_limit_has_the_unit_that_is_given_or_that_the_country_posts(tmp_path):
    mph = pytest.approx([30 * KPH_OF_MPH] * 3)
    assert speed_of(layer(*CROSS), tmp_path) == mph
    assert speed_of(layer(*CROSS, Country_L="CA", Country_R="CA"), tmp_path) == [30.0] * 3
    nowhere = layer(*CROSS, Country_L=..., Country_R=...)
    with pytest.raises(BadMap, match="give the speed unit"):
        read(nowhere, tmp_path)
    assert speed_of(nowhere, tmp_path, speed_unit="mph") == mph
    with pytest.raises(BadInput, match="speed_unit"):
        read(nowhere, tmp_path, speed_unit="mp/h")
    told = read(layer(*CROSS), tmp_path, speed_unit="kph")
    assert told.segment_speed_kph[0].tolist() == [30.0] * 3
    assert any("check the unit" in warning for warning in told.report.warnings)
    border = read(layer(*CROSS, Country_L=["US", "CA", "US"], Country_R=["US", "CA", "CA"]), tmp_path)
    assert border.segment_speed_kph[0] == pytest.approx([30 * KPH_OF_MPH, 30.0, 30 * KPH_OF_MPH])
    assert any("mph and km/h" in warning for warning in border.report.warnings)


def test_speeds_that_are_none_are_guessed_from_their_class_and_told(tmp_path):
    source = read(layer(*CROSS, SpeedLimit=[0, 40, 999]), tmp_path)
    assert source.segment_speed_kph[0] == pytest.approx([40 * KPH_OF_MPH] * 3)
    assert (source.segment_flags & int(EdgeFlag.assumed_speed)).astype(bool).tolist() == [True, False, True]
    assert source.report.unread_values == {"SpeedLimit=999 mph": 1}
    assert sum(source.report.assumed_speed.values()) == 2
    text = read(layer(*CROSS, SpeedLimit=["30", "forty", None]), tmp_path)
    assert text.report.unread_values == {"SpeedLimit=forty": 1}


def test_a_road_is_there_from_effective_until_expire(tmp_path):
    frame = layer(
        *CROSS, Effective=[None, "2026-03-01T00:00:00+00:00", None], Expire=[None, None, "2026-02-01T00:00:00Z"]
    )
    for day, there in (("2026-01-15", [0, 2]), ("2026-02-01", [0]), ("2026-03-01", [0, 1])):
        source = read(frame, tmp_path, at=parse_time(f"{day}T00:00:00Z"))
        ids = [source.way_names[int(way)] for way in source.segment_way]
        assert ids == [f"urn:emergency:uid:gis:RCL:{i}:county.us" for i in there]
    undated = read(frame, tmp_path)
    assert undated.segments == 3
    assert any("give the time of the build" in warning for warning in undated.report.warnings)
    with pytest.raises(BadMap, match="no date"):
        read(layer(*CROSS, Expire="soon"), tmp_path)


def test_a_way_keeps_its_number_when_the_layer_is_exported_again(tmp_path):
    first = read(layer(*CROSS), tmp_path)
    again = read(layer(*CROSS).iloc[::-1], tmp_path)
    assert first.way_names == again.way_names
    assert sorted(first.way_names) == sorted(first.segment_way.tolist())


def test_names_of_columns_may_be_mapped(tmp_path):
    frame = layer(*CROSS, St_Name=..., SpeedLimit=..., SPD=40, STREET="Elm")
    mapping = tmp_path / "roads.toml"
    mapping.write_text('layer = "RoadCenterLine"\n[fields]\nSpeedLimit = "SPD"\nSt_Name = "STREET"\n')
    source = read(frame, tmp_path, mapping=mapping)
    assert source.segment_speed_kph[0] == pytest.approx([40 * KPH_OF_MPH] * 3)
    assert source.names == ["", "Elm"]
    mapping.write_text('[fields]\nDsplayName = "STREET"\n')
    with pytest.raises(BadMap, match="DsplayName"):
        read(frame, tmp_path, mapping=mapping)


@pytest.mark.parametrize(
    ("shape", "pattern"),
    [
        (None, "1 of 3 features have no geometry; the first is urn:emergency:uid:gis:RCL:1:county.us"),
        (LineString(), "no geometry"),
        (shapely.Point(10, 50), "no line"),
        (LineString([(10, 50), (10, 50)]), "a part without length"),
        (LineString([(10, 50), (np.nan, 50)]), "not on the globe"),
        (LineString([(10, 50), (np.inf, 50)]), "not on the globe"),
    ],
)
def test_a_feature_that_is_no_plain_line_stops_the_layer_by_name(tmp_path, shape, pattern):
    frame = layer(*CROSS)
    frame.loc[1, "geometry"] = shape
    with pytest.raises(BadMap, match=pattern):
        read(frame, tmp_path)


def test_a_curved_line_is_not_straightened_in_silence(tmp_path):
    frame = layer(*CROSS)
    path = write(frame, tmp_path)
    with sqlite3.connect(path) as base:
        head = base.execute("select substr(geom, 1, 8) from RoadCenterLine").fetchone()[0]
        assert head[:2] == b"GP"
        curve = np.array([[10.0, 50.0], [10.001, 50.001], [10.002, 50.0]]).astype("<f8").tobytes()
        blob = b"GP\x00\x01" + head[4:8] + b"\x01\x08\x00\x00\x00\x03\x00\x00\x00" + curve
        for (trigger,) in base.execute("select name from sqlite_master where type = 'trigger'").fetchall():
            base.execute(f'drop trigger "{trigger}"')
        base.execute("update RoadCenterLine set geom = ? where fid = 2", (blob,))
    with pytest.raises(BadMap, match="curved"):
        read_centrelines(path)


def test_latitude_before_longitude_is_found_out(tmp_path):
    for lon, lat, country in ((-93.0, 45.0, "US"), (-74.0, 40.7, "US"), (-74.0, 40.7, None), (-79.4, 43.7, "CA")):
        frame = layer(*CROSS, home=Projection(LonLat(lon, lat)), Country_L=country, Country_R=country)
        assert read(frame, tmp_path, speed_unit="mph").segments == 3
        swapped = frame.set_geometry(shapely.transform(frame.geometry.values, lambda points: points[:, ::-1]))
        with pytest.raises(BadMap, match="latitude before longitude"):
            read(swapped.set_crs("EPSG:4326", allow_override=True), tmp_path, speed_unit="mph")


def test_a_layer_without_a_coordinate_system_is_refused_until_the_mapping_names_it(tmp_path):
    path = write(layer(*CROSS, crs="EPSG:32632"), tmp_path, "shp")
    path.with_suffix(".prj").unlink()
    with pytest.raises(BadMap, match="names no coordinate system"):
        read_centrelines(path)
    mapping = tmp_path / "roads.toml"
    mapping.write_text('crs = "EPSG:32632"\n')
    source = read_centrelines(path, mapping=mapping, drive_on="right")
    assert source.segment_length_m == pytest.approx([100.0, 100.0, 90.0], rel=0.004)  # sphere against ellipsoid


def test_files_that_are_none_say_so(tmp_path):
    whole = write(layer(*GRID), tmp_path, "shp")
    whole.write_bytes(whole.read_bytes()[:-40])
    with pytest.raises(BadMap, match="cut short"):
        read_centrelines(whole)
    for ending in ("gpkg", "geojson", "fgb", "shp"):
        path = tmp_path / f"nonsense.{ending}"
        path.write_bytes(b"nonsense" * 40)
        path.with_suffix(".dbf").write_bytes(b"nonsense" * 40)
        with pytest.raises(BadMap, match="nonsense"):
            read_centrelines(path)
    with pytest.raises(BadMap, match="no features"):
        read_centrelines(write(layer(*CROSS).iloc[:0], tmp_path, "gpkg"))
    with pytest.raises(BadMap, match="is no RoadCenterLine"):
        read_centrelines(write(layer(*CROSS)[["NGUID", "geometry"]], tmp_path, "geojson"))
    with pytest.raises(BadMap, match="no drivable road"):
        read(layer(*CROSS, RoadClass="Stairway"), tmp_path)


def test_of_several_layers_the_centrelines_are_read(tmp_path):
    path = write(layer(*CROSS), tmp_path, "gpkg", name="Trails")
    layer(*CROSS[:2]).to_file(path, layer="RoadCenterLine", driver="GPKG")
    assert read_centrelines(path, drive_on="right").segments == 2
    assert read_centrelines(path, layer="Trails", drive_on="right").segments == 3
    with pytest.raises(BadMap, match="no layer 'Roads'"):
        read_centrelines(path, layer="Roads")


def test_an_export_names_what_the_schema_cannot_hold(tmp_path):
    at = {i: (100.0 * i, 0.0) for i in range(4)}
    ways = {
        1: Street(nodes=(0, 1), kph=48.28), 2: Street(nodes=(1, 2), flags=int(EdgeFlag.emergency_only)),
        3: Street(nodes=(2, 3), flags=int(EdgeFlag.assumed_speed)), 4: Street(nodes=(0, 3), road=RoadClass.ferry),
    }  # fmt: skip
    source = streets(at, ways, signals=frozenset({1}))
    told = export_centrelines(source, tmp_path / "out.gpkg", speed_unit="mph", **ABOUT)
    assert told == {
        "ferries left out": 1, "roads for emergency vehicles only left out": 1, "assumed speeds left blank": 1,
        "posted speeds rounded": 1, "ends with a signal left out": 2,
    }  # fmt: skip
    frame = geopandas.read_file(tmp_path / "out.gpkg", layer="RoadCenterLine")
    assert frame.SpeedLimit.fillna(-1).tolist() == [30, -1]
    assert read_centrelines(tmp_path / "out.gpkg").attribution == "made up"
    for wrong in ({"agency": "county"}, {"speed_unit": "knots"}):
        with pytest.raises(BadInput):
            export_centrelines(source, tmp_path / "out.gpkg", **(ABOUT | wrong))
    with pytest.raises(BadInput, match="written as"):
        export_centrelines(source, tmp_path / "out.txt", **ABOUT)
