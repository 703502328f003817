"""`geomatch check` finds what was put wrong, only that, and the same in every format."""

from __future__ import annotations

import json

import geopandas
import numpy as np
import pandas as pd
import pytest
import shapely
from pyproj import Geod
from shapely import Polygon, box
from shapely.affinity import translate

from geomatch.cli import main
from geomatch.errors import BadInput, BadMap
from geomatch.maps.check import check_layer
from geomatch.maps.check.shapes import Stretch, Tolerances
from geomatch.maps.layers.nena import Edition
from geomatch.quantities import parse_time

AT = parse_time("2026-03-07T22:15:00Z")
POLICE = "urn:emergency:service:responder.police"
FORMATS = {"gpkg": "GPKG", "geojson": "GeoJSON", "shp": "ESRI Shapefile", "fgb": "FlatGeobuf", "gdb": "OpenFileGDB"}
WEST, SOUTH, SIDE = -93.0, 45.0, 0.01  # cells of about 790 by 1,110 metres
LON_M, LAT_M = 78_850.0, 111_130.0


def cells(n, rng):
    """n x n cells with crooked shared borders, as towns have; the outer border is straight."""

    def crooked(a, b, *, outer):
        t = np.linspace(0, 1, 5)[:, None]
        points = np.array(a) * (1 - t) + np.array(b) * t
        if not outer:
            points[1:-1] += rng.uniform(-0.0008, 0.0008, (3, 2))
        return points

    corner = np.array([[(WEST + i * SIDE, SOUTH + j * SIDE) for j in range(n + 1)] for i in range(n + 1)])
    corner[1:-1, 1:-1] += rng.uniform(-0.001, 0.001, (n - 1, n - 1, 2))
    along = {(i, j): crooked(corner[i, j], corner[i + 1, j], outer=j in (0, n)) for i in range(n) for j in range(n + 1)}
    up = {(i, j): crooked(corner[i, j], corner[i, j + 1], outer=i in (0, n)) for i in range(n + 1) for j in range(n)}
    return [
        Polygon(np.concatenate([along[i, j][:-1], up[i + 1, j][:-1], along[i, j + 1][:0:-1], up[i, j][:0:-1]]).round(9))
        for i in range(n)
        for j in range(n)
    ]


def clean(n=4, seed=7, layer="Pol", urn=f"{POLICE}.local"):
    """Towns of two beats each."""
    shapes = cells(n, np.random.default_rng(seed))
    town = [i // 2 for i in range(len(shapes))]
    rows = {
        "DiscrpAgID": ["gis.county.us"] * len(shapes),
        "DateUpdate": pd.to_datetime(["2026-01-01T00:00:00Z"] * len(shapes)),
        "Effective": pd.to_datetime(["2025-01-01T06:00:00Z", None] * (len(shapes) // 2)),
        "Expire": pd.to_datetime(["2036-01-01T06:00:00Z", None] * (len(shapes) // 2)),
        "NGUID": [f"urn:emergency:uid:gis:{layer}:{{{i}}}:county.us" for i in range(len(shapes))],
        "Agency_ID": [f"town-{i}.us" for i in town],
        "ServiceURI": [f"sip:town-{i}@county.us" for i in town],
        "ServiceURN": [urn] * len(shapes),
        "ServiceNum": ["911"] * len(shapes),
        "AVcard_URI": [f"https://county.us/{i}.vcf" for i in town],
        "DsplayName": [f"Town {i // 2} beat {i % 2}" for i in range(len(shapes))],
    }
    return geopandas.GeoDataFrame(rows, geometry=shapes, crs=4326)


def write(frame, folder, ending="gpkg", name="PolicePolygon"):
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.{ending}"
    several = {"layer": name} if ending in ("gpkg", "gdb") else {}
    if ending == "gdb":
        several["promote_to_multi"] = True
    frame.to_file(path, driver=FORMATS[ending], **several)
    return path


def put(column, value, row=5):
    def fault(frame):
        frame[column] = frame[column].astype(object)
        frame.loc[row, column] = value
        return frame

    return fault


def draw(shape, row=5):
    def fault(frame):
        shapes = frame.geometry.to_numpy().copy()
        shapes[row] = shape(shapes[row]) if callable(shape) else shape
        return frame.set_geometry(shapes, crs=4326)

    return fault


def also(shape, **values):
    """One feature more, of an agency of its own."""

    def fault(frame):
        new = frame.iloc[[5]].copy()
        new["NGUID"] = "urn:emergency:uid:gis:Pol:{new}:county.us"
        for name, value in ({"Agency_ID": "new.us", "DsplayName": "New"} | values).items():
            new[name] = value
        shapes = [shape(new.geometry.iloc[0]) if callable(shape) else shape]
        return pd.concat([frame, new.set_geometry(shapes, crs=4326)], ignore_index=True)

    return fault


def grown(metres):
    return lambda shape: shapely.buffer(shape, metres / LAT_M, join_style="mitre")


def corner_moved(part):
    """A shared corner goes a part of its way to the middle of the polygon, or away from it."""

    def move(shape):
        points = shapely.get_coordinates(shape)
        points[4] += part * (shapely.get_coordinates(shape.centroid)[0] - points[4])
        return Polygon(points)

    return move


def begun_elsewhere(shape):
    return Polygon(np.roll(shapely.get_coordinates(shape)[:-1], 4, axis=0))


BOW_TIE = Polygon([(WEST, SOUTH), (WEST + SIDE, SOUTH + SIDE), (WEST + SIDE, SOUTH), (WEST, SOUTH + SIDE)])
THREAD = box(WEST - 0.5, SOUTH, WEST - 0.49, SOUTH + 2 / LAT_M)  # 2 m wide, far from the others

# What is put wrong -> (the fault, the finding that must come, findings that may come with it).
FAULTS = {
    "no feature at all": (lambda f: f.iloc[:0], "empty_layer", ()),
    "a required field is missing": (lambda f: f.drop(columns="AVcard_URI"), "missing_field", ()),
    "text stored as a number": (lambda f: f.assign(ServiceNum=911), "wrong_type", ()),
    "a date stored as a number": (lambda f: f.assign(DateUpdate=20260101), "wrong_type", ("bad_date",)),
    "a required value is missing": (put("DsplayName", None), "missing_value", ()),
    "a blank agency": (put("Agency_ID", "   "), "missing_value", ()),
    "a long name": (put("DsplayName", "x" * 61), "too_long", ()),
    "a long number": (put("ServiceNum", "1" * 16), "too_long", ()),
    "a blank before a name": (put("DsplayName", " Beat"), "untidy_text", ()),
    "an unknown service": (put("ServiceURN", f"{POLICE}.town"), "bad_urn", ()),
    "no URN at all": (put("ServiceURN", "police"), "bad_urn", ()),
    "fire in the police layer": (put("ServiceURN", "urn:emergency:service:responder.fire"), "wrong_layer", ()),
    "the spelling of 006.2a": (
        put("ServiceURN", "urn:emergency:service:responder.federal.fbi"), "urn_of_other_edition", (),
    ),
    "an id of 006.1": (put("NGUID", "POL5@county.us"), "bad_nguid", ()),
    "an id without an agency": (put("NGUID", "urn:emergency:uid:gis:Pol:5"), "bad_nguid", ()),
    "an id of the fire layer": (put("NGUID", "urn:emergency:uid:gis:Fire:5:county.us"), "nguid_of_other_layer", ()),
    "an id twice": (put("NGUID", "urn:emergency:uid:gis:Pol:{6}:county.us"), "repeated_nguid", ()),
    "an agency that is no domain name": (put("Agency_ID", "Town PD"), "bad_agency_id", ()),
    "an addressee that is no domain name": (put("DiscrpAgID", "county"), "bad_agency_id", ()),
    "two spellings of an agency": (put("Agency_ID", "TOWN-2.us"), "agency_spelling", ()),
    "no URI": (put("ServiceURI", "dispatch desk"), "bad_uri", ()),
    "no card": (put("AVcard_URI", "county.us/card"), "bad_uri", ()),
    "letters in a number": (put("ServiceNum", "nine-one-one"), "bad_number", ()),
    "no date": (lambda f: put("Expire", "soon")(f.assign(Expire=None)), "bad_date", ()),
    "dates reversed": (put("Expire", pd.Timestamp("2020-01-01", tz="UTC"), 4), "dates_reversed", ("expired",)),
    "expired": (put("Expire", pd.Timestamp("2026-01-01", tz="UTC")), "expired", ()),
    "not yet": (put("Effective", pd.Timestamp("2027-01-01", tz="UTC")), "not_yet_effective", ()),
    "updated tomorrow": (put("DateUpdate", pd.Timestamp("2026-03-09", tz="UTC")), "updated_in_future", ()),
    "no geometry": (draw(None), "no_geometry", ("gap",)),
    "an empty geometry": (draw(Polygon()), "no_geometry", ("gap",)),
    "a bow-tie": (also(translate(BOW_TIE, -0.5)), "broken_geometry", ()),
    "a point": (draw(shapely.Point(WEST, SOUTH)), "not_a_polygon", ("gap",)),
    "off the globe": (draw(lambda s: translate(s, 1000)), "off_globe", ("gap",)),
    "one outline twice": (also(lambda s: s), "duplicate", ()),
    "one outline twice, begun elsewhere": (also(begun_elsewhere), "duplicate", ()),
    "an overlap of 40 m": (draw(grown(40)), "overlap", ("overlapping_beats",)),
    "an overlap of 1 m": (draw(grown(1)), "overlap", ("overlapping_beats",)),
    "one inside another": (also(grown(-200)), "overlap", ()),
    "a gap of 30 m": (draw(grown(-30)), "gap", ()),
    "a gap of 1 m": (draw(grown(-1)), "gap", ()),
    "a gap open to the outside": (draw(grown(-20), row=1), "gap", ()),
    "a corner moved in": (draw(corner_moved(0.3)), "gap", ()),
    "a corner moved out": (draw(corner_moved(-0.3)), "overlap", ("overlapping_beats",)),
    "a polygon missing": (lambda f: f.drop(index=5).reset_index(drop=True), "gap", ()),
    "a thread": (also(THREAD), "sliver", ()),
    "a thread as a part": (draw(lambda s: shapely.union(s, THREAD)), "sliver", ()),
}  # fmt: skip


# FlatGeobuf takes no empty geometry, a Shapefile one kind of geometry and no blanks about a text.
NOT_IN_EVERY_FORMAT = {"no geometry", "an empty geometry", "a point", "no feature at all", "a blank before a name"}


@pytest.mark.parametrize(("seed", "turn"), [(7, 0), (8, 1)])
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found_and_nothing_else(tmp_path, name, seed, turn):
    """In two layers of two formats each."""
    fault, code, with_it = FAULTS[name]
    ending = list(FORMATS)[(2 * turn + list(FAULTS).index(name)) % 5]
    if name in NOT_IN_EVERY_FORMAT:
        ending = "gpkg"
    result = check_layer(write(fault(clean(seed=seed)), tmp_path, ending), at=AT)
    found = result.counts()
    assert code in found, result.to_json()
    assert set(found) <= {code, *with_it}, result.to_json()
    about = {"gap", "overlap", "duplicate", "dates_reversed"}  # a fault of two features, or of row 4
    for finding in result.findings:
        assert finding.code != code or not finding.nguid or code in about or finding.nguid in _ids_of_row_5(fault)
        assert finding.discrepancy_agency or code == "empty_layer"
    assert result.ok == (code == "not_yet_effective")


def _ids_of_row_5(fault):
    frame = fault(clean())
    return {frame["NGUID"].iloc[5], frame["NGUID"].iloc[-1]}


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize(
    ("name", "layer", "urn"),
    [
        ("PolicePolygon", "Pol", f"{POLICE}.local"),
        ("PsapPolygon", "Psap", "urn:emergency:service:sos.psap"),
        ("FirePolygon", "Fire", "urn:emergency:service:responder.fire"),
        ("EmsPolygon", "Ems", "urn:emergency:service:responder.ems.countyParish"),
    ],
)
def test_a_clean_layer_has_no_finding(tmp_path, ending, name, layer, urn):
    result = check_layer(write(clean(layer=layer, urn=urn), tmp_path, ending, name), at=AT)
    assert result.findings == ()
    assert (result.features, result.exit_code) == (16, 0)


def test_2500_clean_features_have_no_finding(tmp_path):
    assert check_layer(write(clean(50), tmp_path), at=AT).findings == ()


def test_what_is_legal_is_not_found(tmp_path):
    """Beats, a sheriff under the towns, a hole that nobody fills, parts, a corner of one neighbour only."""
    frame = clean()
    whole = shapely.union_all(frame.geometry.to_numpy())
    sheriff = also(whole, ServiceURN=f"{POLICE}.sheriff", Agency_ID="sheriff.us")(frame)
    shapes = sheriff.geometry.to_numpy().copy()
    island = box(WEST - 0.3, SOUTH, WEST - 0.29, SOUTH + 0.01)
    shapes[5] = shapely.union(shapely.difference(shapes[5], shapes[5].centroid.buffer(0.001)), island)
    shapes[9] = shapely.segmentize(shapes[9], 0.0003)
    result = check_layer(write(sheriff.set_geometry(shapes, crs=4326), tmp_path), at=AT)
    assert result.findings == ()


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:32615", "EPSG:26851"])
def test_a_gap_is_found_alike_in_every_coordinate_system(tmp_path, crs):
    strip = box(WEST, SOUTH + SIDE * 0.998, WEST + SIDE, SOUTH + SIDE)  # 2.2 m of 1,111
    frame = draw(lambda s: shapely.difference(s, strip), row=0)(clean()).to_crs(crs)
    found = check_layer(write(frame, tmp_path), at=AT).findings
    assert {one.code for one in found} == {"gap"}
    taken = shapely.union_all([one.geometry for one in found])
    oracle = shapely.intersection(strip, clean().geometry[0])
    assert taken.symmetric_difference(oracle).area < 0.05 * oracle.area


def test_findings_agree_across_formats(tmp_path):
    frame = clean()
    for name in (
        "a required field is missing", "a required value is missing", "a long number", "an unknown service",
        "letters in a number", "two spellings of an agency", "expired", "a thread", "dates reversed",
    ):  # fmt: skip
        frame = FAULTS[name][0](frame)
    frame = draw(grown(-30), row=10)(frame)
    frame = also(lambda s: translate(s, 0.0005), NGUID="bad")(frame)
    told = {}
    for ending in FORMATS:
        result = check_layer(write(frame, tmp_path / ending, ending), at=AT)
        told[ending] = [
            (finding.code, finding.nguid, finding.others, str(finding.severity)) for finding in result.findings
        ]
    assert len(told["gpkg"]) >= 10
    for ending, findings in told.items():
        assert findings == told["gpkg"], ending


def test_expiry_needs_a_time_and_agencies_a_list(tmp_path):
    path = write(FAULTS["expired"][0](clean()), tmp_path)
    assert check_layer(path).findings == ()
    towns = {f"town-{i}.us" for i in range(8)}
    assert check_layer(path, agencies=towns).findings == ()
    found = check_layer(path, agencies=towns - {"town-3.us"} | {"elsewhere.us"}).findings
    assert [(one.code, one.agency) for one in found] == [
        ("agency_without_polygon", ""),
        ("unknown_agency", "town-3.us"),
    ]
    assert "elsewhere.us" in found[0].sentence


def test_two_versions_of_one_outline_are_no_duplicate_when_one_follows_the_other(tmp_path):
    frame = put("Expire", pd.Timestamp("2026-06-01", tz="UTC"))(clean())
    after = {"Effective": pd.Timestamp("2026-06-01", tz="UTC"), "Expire": None}
    result = check_layer(write(also(lambda s: s, **after)(frame), tmp_path))
    assert result.findings == ()


def test_the_layer_should_fill_the_provisioning_area(tmp_path):
    frame = clean()
    whole = shapely.union_all(frame.geometry.to_numpy())
    edge = WEST + 4 * SIDE
    for shape, codes in (
        (whole, set()),
        (shapely.union(whole, box(edge, SOUTH, edge + 0.001, SOUTH + 0.01)), {"uncovered"}),
        (shapely.difference(whole, box(edge - 0.001, SOUTH, edge, SOUTH + 0.01)), {"outside_provisioning"}),
    ):
        outer = frame.iloc[:1][["DiscrpAgID", "DateUpdate", "NGUID"]].copy()
        outer = geopandas.GeoDataFrame(outer, geometry=[shape], crs=4326)
        fence = write(outer, tmp_path, name="ProvisioningPolygon")
        assert check_layer(fence, at=AT).findings == ()
        found = check_layer(write(frame, tmp_path), provisioning=fence, at=AT)
        assert set(found.counts()) == codes


@pytest.mark.parametrize(("shift_m", "code"), [(0.0, None), (5.0, "edge_gap"), (-5.0, "edge_overlap")])
@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:32615"])
def test_edges_match_the_neighbours(tmp_path, shift_m, code, crs):
    frame = clean()
    east = frame.geometry.to_numpy()[-4:]
    mirror = np.array(
        [
            translate(one, SIDE + shift_m / LON_M)
            for one in [box(WEST + 3 * SIDE, SOUTH, WEST + 4 * SIDE, SOUTH + 4 * SIDE)]
        ]
    )
    assert len(east) == 4
    neighbour = frame.iloc[:1].set_geometry(mirror, crs=4326).to_crs(crs)
    other = write(neighbour, tmp_path, name="Neighbour")
    found = check_layer(write(frame, tmp_path), neighbour=other, at=AT)
    assert set(found.counts()) == ({code} if code else set())


def test_a_neighbour_of_nowhere_near_is_refused(tmp_path):
    far = clean().set_geometry([translate(one, 3.0) for one in clean().geometry], crs=4326)
    other, path = write(far, tmp_path, name="Neighbour"), write(clean(), tmp_path)
    with pytest.raises(BadMap, match="nowhere near"):
        check_layer(path, neighbour=other)


def test_american_degrees_in_the_wrong_order_are_found_without_a_region(tmp_path):
    swapped = shapely.transform(clean().geometry.to_numpy(), lambda p: p[:, ::-1] * (1, 0.8))
    result = check_layer(write(clean().set_geometry(swapped, crs=4326), tmp_path), at=AT)
    assert set(result.counts()) == {"swapped_axes"}


def test_the_edition_decides_the_domain(tmp_path):
    frame = clean(urn="urn:emergency:service:responder.federal.fbi")
    path = write(frame, tmp_path)
    assert check_layer(path, edition=Edition.sta_006_2a).findings == ()
    assert check_layer(path, edition=Edition.sta_006_3).counts() == {"urn_of_other_edition": 16}
    psap = write(clean(layer="Psap", urn="urn:service:sos"), tmp_path, name="PsapPolygon")
    assert check_layer(psap).ok  # the standard's text and its schema differ: both are taken, with a note


def test_findings_go_to_json_and_to_a_geopackage_with_a_feature_each(tmp_path):
    frame = also(translate(BOW_TIE, -0.5))(draw(grown(-30))(put("DsplayName", None)(clean())))
    frame = frame.drop(columns="AVcard_URI")
    result = check_layer(write(frame, tmp_path), at=AT)
    said = json.loads(result.to_json())
    assert said["counts"] == {"broken_geometry": 1, "gap": 1, "missing_field": 1, "missing_value": 1}
    assert {one["DiscrpAgID"] for one in said["findings"]} == {"gis.county.us"}
    out = tmp_path / "findings.gpkg"
    for _ in range(2):  # the second replaces the first
        result.write_geopackage(out)
    back = geopandas.read_file(out, layer="findings")
    assert back["code"].tolist() == [one.code for one in result.findings]
    assert back.crs == "EPSG:4326"
    assert back.set_index("code").geometry["missing_field"] is None
    proposal = geopandas.read_file(out, layer="proposals")
    assert proposal.geometry.is_valid.all()
    assert proposal["code"].tolist() == ["broken_geometry"]
    shrunk = frame.geometry.iloc[5]
    assert back.set_index("code").geometry["gap"].intersection(shrunk).area < 1e-9


def test_a_check_changes_nothing(tmp_path):
    path = write(FAULTS["an overlap of 40 m"][0](clean()), tmp_path)
    before = path.read_bytes()
    check_layer(path, at=AT)
    assert path.read_bytes() == before


def test_a_layer_that_cannot_be_read_is_one_error(tmp_path):
    path = tmp_path / "layer.gpkg"
    path.write_bytes(b"nonsense")
    with pytest.raises(BadMap, match="damaged"):
        check_layer(path)
    with pytest.raises(BadInput, match="below gap_m"):
        Tolerances(noise_m=60.0)


def test_the_stretch_is_true_to_a_part_in_a_thousand():
    frame = clean()
    shapes = frame.geometry.to_numpy()
    metres = Stretch.of(shapes, frame.crs).to_metres(shapes)
    oracle = [abs(Geod(ellps="WGS84").geometry_area_perimeter(shape)[0]) for shape in shapes]
    assert shapely.area(metres) == pytest.approx(oracle, rel=1e-3)


def test_real_precincts_are_checked_to_the_end(shared_data, tmp_path):
    mapping = tmp_path / "nyc.toml"
    mapping.write_text(
        'layer = "PolicePolygon"\n[fields]\nDsplayName = "name"\nAgency_ID = "{geoid}.place.example"\n'
        f'[constants]\nServiceURN = "{POLICE}.local"\n'
    )
    result = check_layer(shared_data / "nyc-nj" / "jurisdictions.geojson", mapping=mapping)
    assert result.features == 63
    assert result.counts()["missing_field"] == 5  # DiscrpAgID, DateUpdate, NGUID, ServiceURI, AVcard_URI
    # Jersey City and a precinct both claim Ellis Island and Liberty Island, as the two states did until 1998.
    (overlap,) = (one for one in result.findings if one.code == "overlap")
    assert "NYPD Precinct 1:" in overlap.sentence + overlap.others[0] + ":"


def test_the_command_checks_against_the_time_of_the_day(tmp_path, capsys):
    path = tmp_path / "PolicePolygon.geojson"
    frame = clean()
    frame.loc[frame.index[3], "Expire"] = pd.Timestamp("2020-01-01T00:00:00Z")
    frame.loc[frame.index[3], "Effective"] = pd.Timestamp("2019-01-01T00:00:00Z")
    frame.to_file(path)
    main(["check", str(path), "--json"])
    assert json.loads(capsys.readouterr().out)["counts"]["expired"] == 1
