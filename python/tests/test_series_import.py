"""Files of loggers and of InfluxDB into a backend."""

import gzip
import zipfile
from pathlib import Path

import pytest

from siltstone import errors, series, ticks

SHEET = """<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>
<row r="1"><c r="A1" t="inlineStr"><is><t>step</t></is></c><c r="B1" t="inlineStr"><is><t>flow</t></is></c></row>
<row r="2"><c r="A2"><v>1</v></c><c r="B2"><v>0.1</v></c></row>
<row r="3"><c r="A3"><v>2</v></c><c r="B3"><v>-2.5</v></c></row>
</sheetData></worksheet>"""


@pytest.fixture
def backend():
    return series.Backend("memory:")


def workbook(path):
    """A workbook of one sheet."""
    relations = 'xmlns="http://schemas.openxmlformats.org/package/2006/relationships"'
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    with zipfile.ZipFile(path, "w") as parts:
        parts.writestr(
            "[Content_Types].xml",
            '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"></Types>',
        )
        parts.writestr(
            "_rels/.rels",
            f'<Relationships {relations}><Relationship Id="r1" Type="{office}/officeDocument" '
            'Target="xl/workbook.xml"/></Relationships>',
        )
        parts.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="{office}">'
            '<sheets><sheet name="log" sheetId="1" r:id="r1"/></sheets></workbook>',
        )
        parts.writestr(
            "xl/_rels/workbook.xml.rels",
            f'<Relationships {relations}><Relationship Id="r1" Type="{office}/worksheet" '
            'Target="worksheets/sheet1.xml"/></Relationships>',
        )
        parts.writestr("xl/worksheets/sheet1.xml", SHEET)
    return path


def test_an_excel_sheet_becomes_series(tmp_path, backend):
    """Goal: the wheel reads workbooks."""
    path = workbook(tmp_path / "plant.xlsx")
    report = series.import_points(path, backend, sheet="log")
    assert report.taken_for == [(path, "step: integers; flow: numbers")]
    assert [one.key for one in report.series] == ["plant/flow"] and report.rows == 2
    assert backend.load("plant/flow")[0].to_dict() == {1: 0.1, 2: -2.5}


def test_options_read_a_table_as_the_command_does(tmp_path, backend):
    """Goal: each option of `silt series import` has an argument of its name, and reaches the reader."""
    path = tmp_path / "log.csv"
    path.write_bytes(
        "a logger\nDatum;Zeit;Wert;Güte\n02/08/2022;10:00;1.000,5;7\n02/08/2022;11:00;n/v;x\n".encode("latin-1")
    )
    text = {"skip_lines": 1, "header": True, "encoding": "latin-1", "separator": ";", "decimal": ",", "thousands": "."}
    cells = {"missing": "n/v", "text": ["Güte"], "bad_cells": "missing"}
    dates = {"day_first": True, "date_column": "Datum", "time_column": "Zeit"}
    zone = {"tz": "Europe/Berlin", "ambiguous": "earliest", "nonexistent": "shift"}
    report = series.import_points(path, backend, key="plant", **text, **cells, **dates, **zone)
    found, _ = backend.load("plant/Wert")
    assert found.index[0].isoformat() == "2022-08-02T10:00:00+02:00"
    assert found.iloc[0] == 1000.5 and found.isna().tolist() == [False, True]
    assert backend.load("plant/Güte")[0].tolist() == ["7", "x"]
    assert report.skipped == []
    for wrong in ({"decimal": ";"}, {"separator": "ab"}, {"ambiguous": "never"}, {"time_unit": "h"}, {"encoding": "x"}):
        with pytest.raises(errors.InvalidError, match=next(iter(wrong)).split("_")[0]):
            series.import_points(path, backend, **wrong)
    with pytest.raises(errors.InvalidError, match="append=True"):
        series.import_points(path, backend, overlap="skip")


def test_what_is_stored_is_refused_appended_or_replaced(tmp_path, backend):
    """Goal: an import never overwrites what nobody said it may."""
    path = tmp_path / "log.csv"
    path.write_text("step,x\n1,1.5\n2,2.5\n")
    series.import_points(path, backend, key="x")
    path.write_text("step,x\n2,9\n3,3.5\n")
    with pytest.raises(errors.ExistsError, match="'?\"x\"'?"):
        series.import_points(path, backend, key="x")
    tried = series.import_points(path, backend, key="x", append=True, overlap="skip", dry_run=True)
    assert backend.load("x")[0].tolist() == [1.5, 2.5]
    done = series.import_points(path, backend, key="x", append=True, overlap="skip")
    assert tried == done and (done.series[0].points, done.series[0].skipped) == (1, 1)
    assert backend.load("x")[0].tolist() == [1.5, 2.5, 3.5]
    series.import_points(path, backend, key="x", overwrite=True)
    assert backend.load("x")[0].tolist() == [9, 3.5]


def test_of_several_files_one_that_cannot_be_read_is_named(tmp_path, backend):
    """Goal: one bad file of many stops no other; if it is the only one it is the error."""
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    good.write_text("step,x\n1,1.5\n")
    bad.write_text("step,x\n1,1.5,7\n")
    seen = []
    report = series.import_points([bad, good], backend, progress=lambda done, all: seen.append((done, all)))
    assert [one.path for one in report.skipped] == [bad] and backend.list_keys() == ["good/x"]
    assert seen == [(0, 2), (1, 2), (2, 2)]
    with pytest.raises(errors.InvalidError, match=r"bad\.csv"):
        series.import_points(bad, backend)
    with pytest.raises(errors.InvalidError, match="got none"):
        series.import_points([], backend)


ANNOTATED = """#datatype,string,long,dateTime:RFC3339,double,string,string,string
#group,false,false,false,false,true,true,true
#default,_result,,,,,,
,result,table,_time,_value,_field,_measurement,host
,,0,2024-01-01T00:00:00Z,1.5,usage,cpu,a
,,0,2024-01-01T00:00:10Z,2.5,usage,cpu,a

"""


def test_files_of_influxdb_become_series(tmp_path, backend):
    """Goal: both of its formats come through Python; a dry run stores nothing, a second import adds nothing."""
    annotated, lines = tmp_path / "query.csv", tmp_path / "export.lp.gz"
    annotated.write_text(ANNOTATED)
    lines.write_bytes(
        gzip.compress(b"cpu,host=b usage=3 1704067200000000000\ncpu,host=b usage=oops 1704067201000000000\n")
    )
    tried = series.import_influx([annotated, lines], backend, key="lab", dry_run=True)
    assert backend.list_keys() == []
    done = series.import_influx([annotated, lines], backend, key="lab")
    assert tried == done and (done.series, done.added, len(done.skipped)) == (2, 3, 1)
    assert [Path(file).name for file, _ in done.taken_for] == ["query.csv", "export.lp.gz"]
    assert "annotated CSV" in done.taken_for[0][1] and "line protocol" in done.taken_for[1][1]
    assert backend.load("lab/cpu,host=a/usage")[0].tolist() == [1.5, 2.5]
    again = series.import_influx([annotated, lines], backend, key="lab")
    assert (again.added, again.unchanged) == (0, 3)
    with pytest.raises(errors.InvalidError, match="time unit"):
        series.import_influx(lines, backend, time_unit="h")


def test_tables_that_are_packed_are_read_or_refused_by_their_packing(tmp_path, backend):
    """Goal: what pandas writes unless told otherwise is read; what has no bound before it is unpacked is named."""
    pytest.importorskip("pyarrow")
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"bid": [1.0, 2.0], "ask": [1.5, 2.5]}, pd.date_range("2024-01-01", periods=2, name="time"))
    plain = frame.reset_index()
    for packing in ("lz4", "zstd", "uncompressed"):
        plain.to_feather(tmp_path / "t.arrow", compression=packing)
        series.import_points(tmp_path / "t.arrow", backend, key=packing)
        assert backend.load(f"{packing}/ask")[0].tolist() == [1.5, 2.5]
    for packing in ("snappy", "zstd", None):
        frame.to_parquet(tmp_path / "t.parquet", compression=packing)
        series.import_points(tmp_path / "t.parquet", backend, key=f"p{packing}")
    for packing in ("gzip", "brotli", "lz4"):
        frame.to_parquet(tmp_path / "t.parquet", compression=packing)
        with pytest.raises(errors.InvalidError, match=f"packed by {packing}"):
            series.import_points(tmp_path / "t.parquet", backend, key="p")
        columns = {"time": "time", "bid": "bid", "ask": "ask"}
        report = ticks.import_quotes(tmp_path / "t.parquet", tmp_path / "d", columns=columns, symbol="X", tz="UTC")
        assert report.ticks_migrated == 0 and "packed by" in report.skipped[0].reason
