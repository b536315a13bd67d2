"""The experiment store in several processes: sweeps, kills, forks, and what a process says of itself."""

import os
import signal
import subprocess
import sys

import pytest
from experiment_world import agent, script

from siltstone.errors import ExistsError, SiltstoneError
from siltstone.experiment import ExperimentDatabase


@pytest.fixture
def db(tmp_path):
    with ExperimentDatabase(tmp_path / "sweep.db", "exp_001") as db:
        yield db


@pytest.fixture
def sim(db):
    return db.create_simulation_context("sim_000", {"seed": 7})


WRITER = """
    import sys
    from siltstone.experiment import ExperimentDatabase
    path, name, steps = sys.argv[1], sys.argv[2], int(sys.argv[3])
    db = ExperimentDatabase(path, "sweep")
    with db.create_simulation_context(name, {"n": int(name[1:])}) as sim:
        for step in range(steps):
            agents = [(f"a{i}", float(step), 0.0, 1.0, 90.0, 100.0, 0, False, 0.5, step) for i in range(20)]
            sim.log_step(step, agents, [], {"total_agents": 20})
            sim.log_agent_action(step, "a0", "move", reward=1.0)
    db.close()
"""


def test_sixteen_processes_write_to_one_new_file(tmp_path):
    path = tmp_path / "sweep.db"
    children = [script(WRITER, path, f"s{i}", 40) for i in range(16)]
    assert [child.wait() for child in children] == [0] * 16
    with ExperimentDatabase(path, "sweep", read_only=True) as db:
        assert sorted(db.get_simulation_ids()) == sorted(f"s{i}" for i in range(16))
        rows = db.query("SELECT simulation_id, count(*), count(DISTINCT step_number) FROM agent_states GROUP BY 1").rows
        assert [row[1:] for row in rows] == [(800, 40)] * 16
        assert {info.status for info in db.simulations()} == {"completed"}
        assert db.verify().ok


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_process_that_was_killed_is_found_and_its_simulation_goes_on(tmp_path):
    text = """
        import sys, time
        from siltstone.experiment import ExperimentDatabase
        db = ExperimentDatabase(sys.argv[1], "sweep")
        sim = db.create_simulation_context("killed")
        for step in range(50):
            sim.log_step(step, [("a", 0.0, 0.0, 1.0, 90.0, 100.0, 0, False, 0.5, step)], [], {"total_agents": 1})
        sim.log_agent_action(50, "a", "move")
        print("ready", flush=True)
        time.sleep(60)
    """
    child = script(text, tmp_path / "a.db")
    assert child.stdout.readline() == "ready\n"
    with ExperimentDatabase(tmp_path / "a.db", "sweep") as db:
        assert db.simulations()[0].status == "running", "it lives"
        with pytest.raises(ExistsError, match="running"):
            db.resume("killed")
    child.send_signal(signal.SIGKILL)
    child.wait()
    with ExperimentDatabase(tmp_path / "a.db", "sweep") as db:
        info = db.simulations()[0]
        assert (info.status, info.last_step) == ("crashed", 49)
        assert "step 49 is the last one that is safe" in info.error
        sim = db.resume("killed", from_step=40)
        assert sim.get_table_row_count("agent_states") == 40
        sim.log_step(40, [agent("a", 40)])
    with ExperimentDatabase(tmp_path / "a.db", "sweep") as db:
        assert db.simulations()[0].status == "stopped", "it was closed without a word of what became of it"


def test_a_fork_opens_the_file_anew(db, sim):
    if not hasattr(os, "fork"):
        pytest.skip("there is no fork")
    sim.log_agent_action(0, "a", "move")
    pid = os.fork()
    if pid == 0:
        try:
            sim.log_agent_action(1, "a", "move")
        except SiltstoneError as error:
            os._exit(7 if "fork" in str(error) else 8)
        os._exit(9)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    sim.flush_all_buffers()
    assert sim.get_table_row_count("agent_actions") == 1


def test_what_a_run_was_is_known_without_its_secrets(tmp_path):
    text = """
        import json, sys
        from siltstone.experiment import ExperimentDatabase
        with ExperimentDatabase(sys.argv[1]) as db:
            db.create_simulation_context("s", {"seed": 11})
            print(json.dumps(db.simulations()[0].provenance))
    """
    os.environ["SECRET_OF_THE_TEST"] = "do-not-keep-me"
    child = script(text, tmp_path / "a.db", "--rate", "0.1", "--api-key", "hunter2")
    facts = child.communicate()[0]
    assert "hunter2" not in facts and "do-not-keep-me" not in facts
    assert '"seed": 11' in facts and '"--rate", "0.1", "--api-key", "***"' in facts
    for key in ("host", "pid", "python", "packages", "platform"):
        assert f'"{key}"' in facts


def test_the_state_of_the_code_is_known(tmp_path):
    def git(*args):
        identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
        return subprocess.run(
            ["git", *identity, *args], cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout

    try:
        git("init", "-q")
    except FileNotFoundError:
        pytest.skip("there is no git")
    (tmp_path / "model.py").write_text("x = 1")
    git("add", "model.py")
    git("commit", "-q", "-m", "first")
    text = """
        import os, sys
        os.chdir(sys.argv[1])
        from siltstone.experiment import ExperimentDatabase
        with ExperimentDatabase("a.db") as db:
            db.create_simulation_context(sys.argv[2])
            code = db.simulations([sys.argv[2]])[0].provenance["code"]
            print(code["commit"], code["clean"])
    """
    commit = git("rev-parse", "HEAD").strip()
    assert script(text, tmp_path, "a").communicate()[0] == f"{commit} True\n"
    (tmp_path / "model.py").write_text("x = 22")
    assert script(text, tmp_path, "b").communicate()[0] == f"{commit} False\n"
