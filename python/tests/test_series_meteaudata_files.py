"""What meteaudata reads of an exported dataset, by the libraries that it reads with."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from siltstone import series
from siltstone.series import export_dataset, import_dataset

pd = pytest.importorskip("pandas")
yaml = pytest.importorskip("yaml")

METADATA = """
name: A#1
units: mg/l
provenance: {location: "yes", project: '12'}
time_series:
  A#1_RAW#1:
    created_on: '2020-01-01T00:00:00'
    index_metadata: {type: DatetimeIndex, name: t, time_zone: Europe/Paris, dtype: "datetime64[ns, Europe/Paris]"}
    metadata_id: null
    processing_steps: []
    values_dtype: float64
"""
CSV = "t,A#1_RAW#1\n2013-10-27 02:30:00+02:00,0.1\n2013-10-27 02:30:00+01:00,\n2013-10-27 03:00:00+01:00,1e300\n"


def signal(folder: Path) -> Path:
    """A folder with one signal, as meteaudata writes it."""
    (folder / "A#1_data").mkdir(parents=True)
    (folder / "A#1_metadata.yaml").write_text(METADATA)
    (folder / "A#1_data" / "A#1_RAW#1.csv").write_text(CSV)
    return folder


def test_a_meteaudata_signal_is_imported_and_exported_as_foreign_readers_take_it(
    tmp_path: Path,
) -> None:
    """Goal: PyYAML and pandas read of an exported zip what meteaudata would look for."""
    backend = series.open("memory:")
    report = import_dataset(signal(tmp_path / "in"), backend, "plant")
    assert (report["series"], report["points"], report["skipped"]) == (1, 3, [])
    kept, _ = backend.load("plant/A#1/RAW#1")
    assert str(kept.index.tz) == "Europe/Paris" and kept.iloc[[0, 2]].tolist() == [0.1, 1e300]
    assert export_dataset(backend, "plant", tmp_path / "plant.zip") == 3
    with zipfile.ZipFile(tmp_path / "plant.zip") as archive:
        assert archive.testzip() is None
        known = yaml.safe_load(archive.read("plant_metadata.yaml"))
        alone = yaml.safe_load(archive.read("plant_data/A#1_metadata.yaml"))
        with archive.open("plant_data/A#1_data/A#1_RAW#1.csv") as file:
            read = pd.read_csv(file, index_col=0)
    assert known["signals"]["A#1"] == alone
    assert (alone["units"], alone["provenance"]["location"]) == ("mg/l", "yes")
    listed = alone["time_series"]["A#1_RAW#1"]
    assert listed["values_dtype"] == "float64" and listed["index_metadata"]["type"] == "DatetimeIndex"
    index = pd.to_datetime(read.index, utc=True).tz_convert("Europe/Paris")
    assert (index == kept.index).all()
    pd.testing.assert_series_equal(
        read["A#1_RAW#1"].reset_index(drop=True), kept.reset_index(drop=True), check_names=False
    )
    again = import_dataset(tmp_path / "plant.zip", backend)
    assert (again["series"], again["unchanged"], again["conflicts"]) == (0, 1, [])
