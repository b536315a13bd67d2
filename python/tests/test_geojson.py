"""States whose entities have coordinates, as GeoJSON that other programs read."""

import datetime as dt
import json
import shutil
from decimal import Decimal

import numpy as np
import pytest

import siltstone
from siltstone._table import Table
from siltstone.errors import ExistsError, InvalidError

pa = pytest.importorskip("pyarrow")


class Streamed(Table):
    """A table of any types, as a file of a lake has them."""

    def __init__(self, columns):
        self._made = pa.table(columns)

    def batches(self):
        return iter(self._made.to_batches())


@pytest.fixture
def net(shared, tmp_path):
    """A real network of water pipes, whose coordinates are a drawing's."""
    shutil.copy(shared / "data/simulation/water_net3/net3.db", tmp_path / "net3.db")
    with siltstone.open(tmp_path / "net3.db", read_only=True) as db:
        yield lambda group: db.simulation.states_table("net3_network", f"water_{group}_entities", [0, 43_200])


@pytest.fixture
def trams(path):
    with siltstone.open(path) as db:
        update = {
            "id": {"data": np.arange(3)},
            "lon": {"data": np.array([4.9, np.nan, -180.0])},
            "lat": {"data": np.array([52.4, 52.5, 90.0])},
            "speed": {"data": np.array([7.5, np.inf, np.nan])},
            "at": {"data": np.array(["2026-01-01T00:00:00.000000001"] * 3, "M8[ns]")},
            "name": {"data": np.array(["één", 'a "b"', ""])},
        }
        db.simulation.store_update(0, 0, "net", {"trams": update})
        yield db.simulation.states_table("net", "trams")


def test_points_are_features_with_their_attributes(trams, tmp_path):
    file = tmp_path / "trams.geojson"
    written = trams.write_geojson(file, point=("lon", "lat"), crs="OGC:CRS84")
    assert written.rows == 3 and written.bytes == file.stat().st_size
    found = json.loads(file.read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert found.keys() == {"type", "features"}  # a reader of the RFC knows no other system
    first, second, third = found["features"]
    assert first["geometry"] == {"type": "Point", "coordinates": [4.9, 52.4]}
    assert first["properties"] | {"at": ""} == {
        "timestamp": 0, "id": 0, "speed": 7.5, "at": "", "name": "één",
    }  # fmt: skip
    assert first["properties"]["at"].startswith("2026-01-01 00:00:00.000000001")
    assert second["geometry"] is None and second["properties"]["speed"] is None
    assert third["geometry"]["coordinates"] == [-180.0, 90.0] and second["properties"]["name"] == 'a "b"'


@pytest.mark.parametrize(
    ("group", "geometry"),
    [("junction", {"point": ("geometry.x", "geometry.y")}), ("pipe", {"line": "geometry.linestring_2d"})],
)
def test_geopandas_reads_what_pyarrow_reads(net, tmp_path, group, geometry):
    geopandas = pytest.importorskip("geopandas")
    shapely = pytest.importorskip("shapely")
    table, file = net(group), tmp_path / "net.geojson"
    table.write_geojson(file, crs="EPSG:28992", **geometry)
    found = geopandas.read_file(file)
    wanted = table.to_arrow()
    assert found.crs.to_epsg() == 28992 and len(found) == len(wanted)
    assert found["id"].tolist() == wanted["id"].to_pylist()
    if group == "junction":
        assert found["drinking_water.pressure"].tolist() == wanted["drinking_water.pressure"].to_pylist()
        assert shapely.get_x(found.geometry).tolist() == wanted["geometry.x"].to_pylist()
        assert shapely.get_y(found.geometry).tolist() == wanted["geometry.y"].to_pylist()
    else:
        lines = [[list(position) for position in line.coords] for line in found.geometry]
        assert lines == wanted["geometry.linestring_2d"].to_pylist()


def test_polygons_are_closed(tmp_path):
    shapely = pytest.importorskip("shapely")
    with siltstone.open(tmp_path / "run.db") as db:
        ring = {"data": np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 1.0], [0.0, 1.0]]), "row_ptr": np.array([0, 4])}
        update = {"areas": {"id": {"data": [1]}, "ring": ring}}
        db.simulation.store_update(0, 0, "net", update)
        table = db.simulation.states_table("net", "areas")
        table.write_geojson(tmp_path / "a.geojson", polygon="ring", crs=None)
    found = json.loads((tmp_path / "a.geojson").read_text())
    (ring,) = found["features"][0]["geometry"]["coordinates"]
    assert ring[0] == ring[-1] and len(ring) == 5
    shape = shapely.geometry.shape(found["features"][0]["geometry"])
    assert shape.is_valid and shape.area == 2.0 and found["crs"] is None


def properties(tmp_path, **columns):
    file = tmp_path / "one.geojson"
    Streamed({"x": [1.0], "y": [2.0], **columns}).write_geojson(file, point=("x", "y"), crs=None, overwrite=True)
    (feature,) = json.loads(file.read_text(encoding="utf-8"), parse_constant=pytest.fail)["features"]
    assert feature["geometry"] == {"type": "Point", "coordinates": [1.0, 2.0]}
    return feature["properties"]


def test_a_table_of_coordinates_alone_has_features_without_properties(tmp_path):
    assert properties(tmp_path) == {}
    file = tmp_path / "line.geojson"
    Streamed({"l": [[[1.0, 2.0], [3.0, 4.0]], None, [None]]}).write_geojson(file, line="l", crs=None)
    first, *others = json.loads(file.read_text())["features"]
    assert first["geometry"]["coordinates"] == [[1.0, 2.0], [3.0, 4.0]]
    assert [one["geometry"] for one in others] == [None, None]


def test_properties_of_every_type_are_json_within_lists_and_structs_too(tmp_path):
    at = dt.datetime(2026, 1, 1)
    found = properties(
        tmp_path,
        price=[Decimal("0.10")],
        times=[[at, None]],
        nested=[{"x": float("nan"), "day": [at.date()], "raw": b"a"}],
        pairs=pa.array([[("k", float("inf"))]], pa.map_(pa.string(), pa.float64())),
        kind=pa.array(["a"]).dictionary_encode(),
    )
    assert found == {
        "price": "0.10",
        "times": ["2026-01-01 00:00:00.000000", None],
        "nested": {"x": None, "day": ["2026-01-01"], "raw": "61"},
        "pairs": [["k", None]],
        "kind": "a",
    }
    for odd in (pa.array([pa.MonthDayNano([1, 2, 3])]), pa.array([at]).dictionary_encode()):
        with pytest.raises(InvalidError, match="expected values that"):
            properties(tmp_path, odd=odd)


@pytest.mark.parametrize(
    "rows",
    [["a"], [True], [1.0], [[1.0, 2.0]], [[["a", "b"]]], [[{"x": 1.0}]], [[[1.0]]], [[[[1.0, 2.0], [3.0, 4.0]]]]],
)
def test_a_column_that_has_no_positions_is_no_geometry(tmp_path, rows):
    table = Streamed({"g": rows, "h": rows, "id": [1]})
    for kind in ("line", "polygon"):
        with pytest.raises(InvalidError, match="the geometry: expected (lists of )?positions"):
            table.write_geojson(tmp_path / "a.geojson", **{kind: "g"}, crs=None)
    if rows != [1.0]:
        with pytest.raises(InvalidError, match="the geometry: expected numbers in 'g', got "):
            table.write_geojson(tmp_path / "a.geojson", point=("g", "h"), crs=None)
    for point in (("g",), (), ("g", "g"), ("g", "h", "id", "x")):
        with pytest.raises(InvalidError, match="expected (two columns|one of point)"):
            table.write_geojson(tmp_path / "a.geojson", point=point, crs=None)
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_degrees_or_no_geometry_is_refused_and_makes_no_file(net, trams, tmp_path):
    file = tmp_path / "net.geojson"
    point = ("geometry.x", "geometry.y")

    def refused(table, match, **given):
        with pytest.raises(InvalidError, match=match):
            table.write_geojson(file, **given)
        assert [one for one in tmp_path.iterdir() if "geojson" in one.name] == []

    with pytest.raises(TypeError, match="crs"):
        net("junction").write_geojson(file, point=point)
    refused(trams, r"expected degrees of longitude and latitude, got \(52.4, 4.9\)|\(90.0, -180.0\)",
            point=("lat", "lon"), crs="EPSG:4326")  # fmt: skip
    refused(trams, "expected columns of .*, got 'x'", point=("x", "lat"), crs=None)
    refused(trams, "expected one of point", crs=None)
    refused(trams, "expected one of point", crs=None, point="lon")
    refused(trams, "expected one of point", crs=None, line="lon", polygon="lat")
    refused(trams, "crs: expected .*, got 'WGS84'", point=("lon", "lat"), crs="WGS84")
    file.write_text("mine")
    with pytest.raises(ExistsError, match="overwrite=True replaces it"):
        net("junction").write_geojson(file, point=point, crs=None)
    assert net("junction").write_geojson(file, point=point, crs=None, overwrite=True).rows == 184
