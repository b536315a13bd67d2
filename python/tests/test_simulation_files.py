"""Files of other simulators, made by the simulators themselves."""

import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

from siltstone.errors import InvalidError, InvalidTypeError
from siltstone.simulation import SimulationDatabase, import_epanet, import_states, import_sumo
from siltstone.ticks import import_quotes

INP = """[JUNCTIONS]
J1 10 0
J2 12 5
J3 8 3
[RESERVOIRS]
R 60
[TANKS]
T 40 3 1 6 12 0
[PIPES]
P1 R J1 500 300 100 0 Open
P2 J1 J2 400 200 100 0 Open
P3 J2 J3 300 150 100 0 Open
P4 J3 T 200 150 100 0 Open
[TIMES]
Duration 6:00
Hydraulic Timestep 1:00
Report Timestep 0:30
Report Start 1:00
[OPTIONS]
Units LPS
Headloss H-W
Quality Age
[END]
"""


def test_output_of_epanet_is_what_its_toolkit_says(tmp_path: Path) -> None:
    """Goal: each value is the one in the file, and the one that EPANET itself gives at that time."""
    toolkit = pytest.importorskip("epanet.toolkit", reason="owa-epanet is not installed")
    inp, out, target = (str(tmp_path / name) for name in ("net.inp", "net.out", "run.db"))
    Path(inp).write_text(INP)
    project = toolkit.createproject()
    toolkit.runproject(project, inp, str(tmp_path / "net.rpt"), out, None)
    report = import_epanet(out, target)
    assert (report.updates, report.skipped) == (11, [])
    assert "5 nodes (2 of them tanks or reservoirs), 4 links" in report.taken_for
    assert import_epanet(out, target).unchanged == 11
    with SimulationDatabase(target, read_only=True) as db:
        assert db.get_timestamps("network") == list(range(3600, 6 * 3600 + 1, 1800))
        begin = 884 + 36 * 5 + 52 * 4 + 8 * 2 + 4
        periods = np.fromfile(out, "<f4", 11 * (4 * 5 + 8 * 4), offset=begin).reshape(11, -1)
        for time, period in zip(db.get_timestamps("network"), periods, strict=True):
            nodes, links = (db.state_at("network", group, time) for group in ("nodes", "links"))
            own = [nodes[name]["data"] for name in ("demand", "head", "pressure", "quality")]
            names = ("flow", "velocity", "headloss", "quality", "status", "setting", "reaction_rate", "friction_factor")
            own += [links[name]["data"] for name in names]
            np.testing.assert_array_equal(np.concatenate(own), period)
        toolkit.open(project, inp, str(tmp_path / "again.rpt"), str(tmp_path / "again.out"))
        toolkit.openH(project)
        toolkit.initH(project, toolkit.NOSAVE)
        compared = 0
        while True:
            time = toolkit.runH(project)
            if time in range(3600, 6 * 3600 + 1, 1800):
                nodes, links = (db.state_at("network", group, time) for group in ("nodes", "links"))
                for group, state, kinds in (
                    (toolkit.getnodevalue, nodes, {"head": toolkit.HEAD, "pressure": toolkit.PRESSURE}),
                    (toolkit.getlinkvalue, links, {"flow": toolkit.FLOW, "length": toolkit.LENGTH}),
                ):
                    for name, kind in kinds.items():
                        own = [group(project, n + 1, kind) for n in range(len(state["id"]["data"]))]
                        # The file has what EPANET rounds to 32 bits in its own units first.
                        np.testing.assert_allclose(state[name]["data"], own, rtol=1e-6, atol=1e-5, err_msg=name)
                        compared += len(own)
            if toolkit.nextH(project) == 0:
                break
        assert compared > 100
        ids = [toolkit.getnodeid(project, n + 1) for n in range(5)]
        assert nodes["name"]["data"].tolist() == ids


FLOWS = """<routes>
<flow id="car" from="A0A1" to="C2C1" begin="0" end="40" period="4"/>
<flow id="bus" from="C0B0" to="A2A1" begin="0" end="20" period="9" departLane="best"/>
<personFlow id="walker" begin="0" end="20" period="7"><walk from="A0A1" to="B1B2"/></personFlow>
</routes>"""


class Sumo:
    """A network with cars, buses and people, and what SUMO says of it in XML."""

    def __init__(self, folder: Path) -> None:
        home = Path(pytest.importorskip("sumo", reason="eclipse-sumo is not installed").SUMO_HOME)
        self.folder, self.home = folder, home
        (folder / "flows.rou.xml").write_text(FLOWS)
        self.run(home / "bin" / "netgenerate", "--grid", "--grid.number", 3, "--sidewalks.guess", "-o", "net.net.xml")
        self.write("own.xml")

    def run(self, *command: object) -> None:
        subprocess.run([str(part) for part in command], cwd=self.folder, check=True, capture_output=True)

    def write(self, name: str, *options: str) -> Path:
        sumo = [self.home / "bin" / "sumo", "-n", "net.net.xml", "-r", "flows.rou.xml", "-e", 60, "--step-length", 0.4]
        self.run(*sumo, "--precision", 6, "--no-step-log", *options, "--fcd-output", name)
        return self.folder / name


@pytest.fixture(scope="module")
def sumo(tmp_path_factory: pytest.TempPathFactory) -> Sumo:
    return Sumo(tmp_path_factory.mktemp("sumo"))


@pytest.mark.parametrize(
    "name", ["own.xml", "fcd.xml.gz", "fcd.csv", "fcd.parquet", "human.xml", "human.csv", "human.parquet", "table.csv"]
)
def test_output_of_sumo_is_what_its_xml_says(tmp_path: Path, sumo: Sumo, name: str) -> None:
    """Goal: what SUMO writes, in each of its forms, has the values of its XML, read without our code."""
    if name == "table.csv":
        sumo.run(sys.executable, sumo.home / "tools" / "xml" / "xml2csv.py", "own.xml", "-o", name)
    elif name != "own.xml":
        sumo.write(name, *(["-H"] if name.startswith("human") else []))
    path = sumo.folder / name
    report = import_sumo(path, tmp_path / "run.db")
    assert report.skipped == [] and import_sumo(path, tmp_path / "run.db").unchanged == report.updates
    # Tables of SUMO itself have persons as vehicles.
    as_vehicles = name in ("fcd.csv", "fcd.parquet", "human.csv", "human.parquet")
    compared = {"vehicle": 0, "person": 0}
    with SimulationDatabase(tmp_path / "run.db", read_only=True) as db:
        for step in ElementTree.parse(sumo.folder / "own.xml").getroot():
            if not len(step) and as_vehicles:
                continue
            time = round(float(step.get("time", "")) * 1000)
            for kind in ("vehicle", "person"):
                state = db.state_at("traffic", "vehicles" if as_vehicles else kind + "s", time)
                rows = {name: row for row, name in enumerate(state["name"]["data"])} if len(step) else {}
                for element in step.findall(kind):
                    row = rows[element.get("id")]
                    for attribute, text in element.items():
                        if attribute == "id" or text == "":
                            continue
                        value = state[attribute]["data"][row]
                        if isinstance(value, str):
                            assert value == text
                        else:
                            # Parquet has numbers that XML rounds.
                            assert value == pytest.approx(float(text), abs=1e-4 if name.endswith("parquet") else 0)
                        compared[kind] += 1
    assert min(compared.values()) > 100


def test_frames_of_pandas_are_states(tmp_path: Path) -> None:
    """Goal: what pandas writes, long and wide, text and Parquet, gives the same states."""
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    long = pd.DataFrame({"step": [0, 0, 1, 1], "agent": ["a", "b", "a", "b"], "wealth": [1.5, 2.5, 3.25, 0.1 + 0.2]})
    wide = long.pivot(index="step", columns="agent", values="wealth").reset_index()
    states = []
    for name, frame, how in (("long", long, {"id": "agent"}), ("wide", wide, {"wide": "wealth"})):
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
        frame.to_parquet(tmp_path / f"{name}.parquet")
        for ending in ("csv", "parquet"):
            target = tmp_path / f"{name}-{ending}.db"
            report = import_states(
                tmp_path / f"{name}.{ending}", target, time="step", dataset="model", group="agents", **how
            )
            assert (report.updates, report.skipped, report.conflicts) == (2, [], [])
            with SimulationDatabase(target, read_only=True) as db:
                states.append(db.state_at("model", "agents", 1)["wealth"]["data"].tolist())
    assert states == [[3.25, 0.1 + 0.2]] * 4


def test_an_unclear_table_names_its_option(tmp_path: Path) -> None:
    """Goal: what can be read in two ways is refused, and no file is made; without a target nothing is stored."""
    from siltstone.errors import InvalidError

    path = tmp_path / "cars.csv"
    path.write_text("t,car,x\n0,1,5\n0.5,1,6\n")
    options = {"time": "t", "dataset": "d", "group": "g"}
    with pytest.raises(InvalidError, match="--time-unit"):
        import_states(path, None, id="car", **options)
    with pytest.raises(InvalidError, match="id and wide"):
        import_states(path, None, **options)
    assert import_states(path, None, id="car", time_unit=0.5, **options).updates == 2
    assert list(tmp_path.iterdir()) == [path]


def test_marks_of_numbers_are_told_by_name(tmp_path: Path) -> None:
    """Goal: a mark that is none is refused by its name, and what is told is done."""
    table = tmp_path / "cars.csv"
    table.write_text("t;car;speed\n0;a;1.234,5\n0;b;2\n", encoding="utf-8")
    how = {"time": "t", "id": "car", "dataset": "traffic", "group": "cars"}
    with pytest.raises(InvalidError, match="--decimal"):
        import_states(table, None, **how)
    for wrong in ("", "ab", ["."], 1):
        for name in ("separator", "decimal", "thousands"):
            with pytest.raises(InvalidTypeError, match=f"{name}: expected one character"):
                import_states(table, None, **how, **{name: wrong})
    assert import_states(table, tmp_path / "run.db", decimal=",", thousands=".", **how).updates == 1
    with SimulationDatabase(tmp_path / "run.db") as db:
        assert db.state_at("traffic", "cars", 0)["speed"]["data"].tolist() == [1234.5, 2.0]
    quotes = tmp_path / "quotes.csv"
    quotes.write_text("t;b;a\n2024-10-27 02:30:00;1.234,5;1.235\n", encoding="utf-8")
    columns = {"time": "t", "bid": "b", "ask": "a"}
    report = import_quotes(
        quotes,
        tmp_path / "ticks",
        columns=columns,
        symbol="X",
        tz="Europe/Berlin",
        ambiguous="latest",
        decimal=",",
        thousands=".",
    )
    assert (report.ticks_migrated, report.skipped) == (1, [])
    with pytest.raises(InvalidError, match="earliest or latest"):
        import_quotes(quotes, tmp_path / "ticks", columns=columns, symbol="X", ambiguous="first")
