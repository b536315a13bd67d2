"""One way to import whatever another program wrote: by its kind, or by what its content says."""

import json
import struct

import numpy as np
import pytest

import siltstone
from siltstone import _siltstone, errors, series
from siltstone.experiment import ExperimentDatabase
from siltstone.simulation import SimulationDatabase

LINES = "cpu,host=a usage=0.5 1715201400000000000\n"
FCD = '<fcd-export><timestep time="0.50"><vehicle id="v" x="1.5" y="2" lane="a_0"/></timestep></fcd-export>'
HISTDATA = "20120201 000003660,1.306600,1.306770,0\n20120201 000003973,1.306580,1.306750,0\n"
TOA5 = (
    '"TOA5","s","CR1000","1","CR1000","p","1","t"\n"TIMESTAMP","flow"\n"TS","l/s"\n"","Avg"\n'
    '"2024-01-01 00:00:00",1.5\n'
)
BEHAVIORSPACE = (
    '"BehaviorSpace results (NetLogo 6.4.0)"\n"fire.nlogo"\n"burn"\n"01/01/2024 10:00:00:000 +0100"\n'
    '"min-pxcor","max-pxcor"\n"-5","5"\n"[run number]","density","[step]","burned"\n'
    '"1","57","0","0.5"\n"1","57","1","0.75"\n'
)


def movici(folder):
    folder.mkdir()
    for timestamp in (0, 60):
        update = {"net": {"pipes": {"id": [1, 2], "flow": [timestamp / 2, 0.25]}}}
        (folder / f"t{timestamp}_0_net.json").write_text(json.dumps(update))
    return folder


def sacred(folder):
    run = folder / "1"
    run.mkdir(parents=True)
    (run / "run.json").write_text('{"status": "COMPLETED"}')
    (run / "config.json").write_text('{"lr": 0.1}')
    return folder


def mlflow(folder):
    run = folder / "0" / "a1"
    (run / "metrics").mkdir(parents=True)
    (folder / "0" / "meta.yaml").write_text("experiment_id: '0'\nname: Default\n")
    (run / "meta.yaml").write_text("run_id: a1\nstatus: 3\nstart_time: 0\nend_time: 5\n")
    (run / "metrics" / "loss").write_text("1 0.5 0\n")
    return folder


def text(path, content):
    path.write_text(content)
    return path


def epanet(path):
    path.write_bytes(struct.pack("<15i", 516114521, 20012, *[0] * 13) + bytes(900))
    return path


def sources(folder):
    """What says itself what it is, by its kind."""
    return {
        "simulation": movici(folder / "updates"),
        "sumo": text(folder / "fcd.xml", FCD),
        "epanet": epanet(folder / "net.out"),
        "influx": text(folder / "cpu.lp", LINES),
        "series": text(folder / "station.dat", TOA5),
        "ticks": text(folder / "DAT_ASCII_EURUSD_T_201202.csv", HISTDATA),
        "mlflow": mlflow(folder / "mlruns"),
        "sacred": sacred(folder / "my_runs"),
        "netlogo": text(folder / "table.csv", BEHAVIORSPACE),
    }


def test_each_kind_is_imported_by_one_call(tmp_path, capfd):
    """Goal: a source that says what it is needs no kind; stderr says what it is; a dry run writes nothing."""
    for kind, source in sources(tmp_path).items():
        if kind == "epanet":
            continue  # the beginning of one alone
        output = tmp_path / f"{kind}.out"
        siltstone.import_(source, dry_run=True)
        assert not output.exists()
        report = siltstone.import_(source, output=output)
        said = f"{source}: taken for {kind}: {siltstone.import_kinds()[kind]}\n"
        assert capfd.readouterr().err == 2 * said and output.exists(), kind
        assert report.skipped == [], kind
        # What is there changes nothing; of points somebody has to say so.
        more = {"append": True, "overlap": "skip"} if kind == "series" else {}
        assert siltstone.import_(source, kind, output, **more).skipped == [], kind
        assert not (tmp_path / "data").exists()
    assert series.Backend(f"sqlite:{tmp_path / 'series.out'}").list_keys() == ["station/flow"]
    with SimulationDatabase(tmp_path / "simulation.out") as db:
        assert np.array_equal(db.state_at("net", "pipes", 60)["flow"]["data"], [30, 0.25])
    with ExperimentDatabase(tmp_path / "mlflow.out", read_only=True) as db:
        assert [info.simulation_id for info in db.simulations()] == ["a1"]


def test_a_kind_is_known_by_content_and_not_by_its_name(tmp_path):
    """Goal: files and folders under other names are known all the same."""
    for kind, source in sources(tmp_path).items():
        other = source.rename(tmp_path / f"{kind}-copy")
        assert _siltstone.import_detect(other) == kind


def test_what_is_not_beyond_doubt_is_refused_with_the_kinds(tmp_path):
    """Goal: nothing is guessed: a table, a folder of two tools and a file of none name what decides."""
    table = text(tmp_path / "log.csv", "time,flow\n2024-01-01,1.5\n")
    with pytest.raises(errors.InvalidError, match="series, states or ticks"):
        siltstone.import_(table, output=tmp_path / "new.db")
    both = mlflow(tmp_path / "both")
    sacred(both)
    with pytest.raises(errors.InvalidError, match="mlflow, sacred"):
        siltstone.import_(both, output=tmp_path / "new.db")
    (tmp_path / "noise.bin").write_bytes(bytes(range(256)))
    (tmp_path / "nothing").mkdir()
    for name in ("noise.bin", "nothing"):
        with pytest.raises(errors.InvalidError, match="--list"):
            siltstone.import_(tmp_path / name, output=tmp_path / "new.db")
    siltstone.import_(table, "series", tmp_path / "ours.db")
    with pytest.raises(errors.InvalidError, match="one of Siltstone"):
        siltstone.import_(tmp_path / "ours.db", output=tmp_path / "new.db")
    with pytest.raises(errors.NotFoundError):
        siltstone.import_(tmp_path / "none", output=tmp_path / "new.db")
    for near, kind in (("MLflow", "mlflow"), ("serie", "series"), ("tensor-board", "tensorboard")):
        with pytest.raises(errors.InvalidError, match=f"did you mean {kind}"):
            siltstone.import_(table, near, tmp_path / "new.db")
    assert not (tmp_path / "new.db").exists()


def test_options_go_to_the_function_of_the_kind(tmp_path):
    """Goal: each kind takes the options of its own function, and one that it does not have is refused by its name."""
    table = text(tmp_path / "cars.csv", "t,car,speed\n0,7,1.5\n1,7,2\n")
    states = {"time": "t", "id": "car", "dataset": "traffic", "group": "cars"}
    seen = []
    report = siltstone.import_(
        table, "states", tmp_path / "run.db", progress=lambda done, all: seen.append((done, all)), **states
    )
    assert report.updates == 2 and seen[-1] == (2, 2)
    points = siltstone.import_(table, "series", tmp_path / "run.db", key="car", text=["car"])
    assert [one.key for one in points.series] == ["car/car", "car/speed"]
    columns = {"time": "t", "price": "speed"}
    ticks = siltstone.import_(
        table, "ticks", tmp_path / "ticks", columns=columns, time_unit="s", symbol="A", dry_run=True
    )
    assert ticks.files == 1 and not (tmp_path / "ticks").exists()
    for kind in siltstone.import_kinds():
        with pytest.raises(errors.InvalidTypeError, match=f"nonsense: expected an option of {kind}"):
            siltstone.import_(table, kind, tmp_path / "new.db", nonsense=1)
    for output in (None, tmp_path / "new.db"):
        with pytest.raises(errors.InvalidError):
            siltstone.import_(table, "influx", output)
    assert not (tmp_path / "new.db").exists()
    with pytest.raises(errors.InvalidError, match="mlfow"):
        siltstone.import_(table, "mlfow", tmp_path / "new.db")


def test_a_dry_run_names_every_bad_line(tmp_path):
    """Goal: what is wrong in a long file is known before it is imported; an import names the first lines."""
    bad = "".join(f'"{run}","57","x","0.5"\n' for run in range(2, 10))
    table = text(tmp_path / "table.csv", BEHAVIORSPACE + bad)
    for report, lines in (
        (siltstone.import_(table, "netlogo", dry_run=True), 8),
        (siltstone.import_(table, "netlogo", tmp_path / "runs.db"), 3),
    ):
        [skipped] = report.skipped
        assert (skipped.rows, skipped.reason.count("line ")) == (8, lines), skipped
