"""Hooks of other libraries, each with the real library; skipped where it is not installed."""

import logging

import numpy as np
import pytest

import siltstone


@pytest.fixture
def path(tmp_path):
    return tmp_path / "runs.db"


def runs(path):
    with siltstone.open(path, read_only=True) as db:
        return db.experiment().simulations()


def test_log_records_are_kept_with_the_step_and_their_traceback(path):
    from siltstone.integrations.logging import RunHandler

    log = logging.getLogger("test_integrations")
    with siltstone.init(path) as run:
        handler = RunHandler(run, logging.INFO)
        log.addHandler(handler)
        log.setLevel(logging.DEBUG)
        log.debug("too fine")
        log.info("begun with %d", 3)
        run.log({"loss": 1.0}, step=6)
        try:
            raise ValueError("no luck")
        except ValueError:
            log.exception("it broke")
        log.removeHandler(handler)
        handler.flush()
        sql = "SELECT step, level, logger, message, time_ms FROM run_events ORDER BY step"
        first, second = run.simulation.query(sql).rows
    assert first[:4] == (0, "INFO", "test_integrations", "begun with 3") and first[4] > 1.7e12
    assert second[:3] == (7, "ERROR", "test_integrations")
    assert second[3].startswith("it broke\nTraceback") and second[3].endswith("ValueError: no luck")


def test_a_record_after_the_end_of_its_run_is_reported_as_logging_reports_it(path, capsys):
    from siltstone.integrations.logging import RunHandler

    with siltstone.init(path) as run:
        handler = RunHandler(run)
    handler.flush()  # as the end of the interpreter asks of each handler, whatever became of its run
    handler.handle(logging.LogRecord("late", logging.INFO, "", 1, "too late", None, None))
    assert "belongs to a database that was closed" in capsys.readouterr().err


def test_a_trial_of_optuna_is_a_run_with_its_parameters_reports_and_value(path):
    optuna = pytest.importorskip("optuna")
    from siltstone.integrations.optuna import RunCallback

    def objective(trial):
        x = trial.suggest_float("x", -1, 1)
        trial.report(x, 0)
        trial.report(x / 2, 3)
        trial.set_user_attr("note", "odd" if trial.number % 2 else "even")
        if trial.number == 1:
            raise optuna.TrialPruned
        if trial.number == 2:
            raise ValueError("no luck")
        return x**2

    study = optuna.create_study(study_name="sweep")
    study.optimize(objective, n_trials=4, callbacks=[RunCallback(path)], catch=ValueError)
    again = optuna.create_study(study_name="sweep")
    again.optimize(
        lambda trial: trial.set_user_attr("w", np.zeros(1)) or 0.0, n_trials=2, callbacks=[RunCallback(path)]
    )
    *found, _, last = runs(path)
    assert last.results_summary == {"w": "array([0.])", "value": 0.0} and last.provenance["run_name"] == "sweep-1"
    assert [one.simulation_id for one in found] == [f"sweep-{n}" for n in range(4)]
    assert [one.status for one in found] == ["completed", "stopped", "failed", "completed"]
    assert {one.experiment_id for one in found} == {"sweep"}
    for run, trial in zip(found, study.trials, strict=True):
        assert run.parameters == trial.params
        value = {} if trial.number == 2 else {"value": trial.value}
        assert run.results_summary == {"note": "odd" if trial.number % 2 else "even"} | value
        with siltstone.open(path, read_only=True) as db:
            metric = db.experiment().metric(run.simulation_id, "intermediate")
        assert metric == sorted(trial.intermediate_values.items())


def test_what_a_model_of_mesa_and_its_agents_report_is_in_the_file(path):
    mesa = pytest.importorskip("mesa")
    from siltstone.integrations.mesa import RunCollector

    class Walker(mesa.Agent):
        def __init__(self, model, wealth):
            super().__init__(model)
            self.wealth, self.name = wealth, f"w{self.unique_id}"

        def step(self):
            self.wealth = None if self.wealth == 2.5 else (self.wealth or 0) + 0.5

    class World(mesa.Model):
        def __init__(self, run):
            super().__init__()
            self.collector = RunCollector(
                run,
                model_reporters={"total": lambda model: sum(agent.wealth or 0 for agent in model.agents)},
                agent_reporters={"wealth": "wealth", "name": "name"},
            )
            for wealth in range(3):
                Walker(self, wealth)

        def step(self):
            self.agents.do("step")
            self.collector.collect(self)

    with siltstone.init(path) as run:
        world = World(run)
        for _ in range(4):
            world.step()
        run.flush()
        frame = world.collector.get_model_vars_dataframe()
        assert [value for _, value in run.simulation.parent_db.metric(run.id, "total")] == frame["total"].tolist()
        agents = world.collector.get_agent_vars_dataframe().reset_index()
        rows = run.simulation.query("SELECT step, agent, wealth, name FROM mesa_agents ORDER BY step, agent").rows
        wanted = [tuple(row) for row in agents[["Step", "AgentID", "wealth", "name"]].itertuples(index=False)]
        assert len(rows) == 12 and str(rows).replace("None", "nan") == str(wanted).replace("None", "nan")


def test_a_model_of_mesa_of_which_only_agents_report_is_collected_too(path):
    mesa = pytest.importorskip("mesa")
    from siltstone.integrations.mesa import RunCollector

    with siltstone.init(path) as run:
        model = mesa.Model()
        mesa.Agent(model)
        RunCollector(run, agent_reporters={"id": "unique_id"}).collect(model)
        RunCollector(run, model_reporters={"none": lambda _: None}).collect(model)
        assert run.simulation.query("SELECT id FROM mesa_agents").rows == [(1.0,)]
        assert dict(run.summary) == {"none": None}


def test_episodes_of_gymnasium_are_kept_whole(path):
    gymnasium = pytest.importorskip("gymnasium")
    from siltstone.integrations.gymnasium import RecordEpisodes

    class Count(gymnasium.Env):
        observation_space = gymnasium.spaces.Box(0, 10, (2,))
        action_space = gymnasium.spaces.Discrete(3)

        def reset(self, *, seed=None, options=None):
            self.n = 0
            return np.zeros(2, np.float32), {}

        def step(self, action):
            self.n += 1
            return np.full(2, self.n, np.float32), action / 2, self.n == 3, False, {}

    with siltstone.init(path) as run:
        env = RecordEpisodes(Count(), run)
        for _ in range(2):
            env.reset()
            for action in (2, 0, 1):
                env.step(action)
        env.reset()
        env.step(2)
        env.close()  # in the middle of the third
        run.flush()
        metric = run.simulation.parent_db.metric
        assert metric(run.id, "episode.return") == [(0, 1.5), (1, 1.5), (2, 1.0)]
        assert metric(run.id, "episode.length") == [(0, 3.0), (1, 3.0), (2, 1.0)]
        array = run.simulation.array
        assert array("episode.actions", 1).tolist() == [2, 0, 1] and array("episode.rewards", 2).tolist() == [1.0]
        assert array("episode.observations", 1).tolist() == [[0, 0], [1, 1], [2, 2], [3, 3]]


def test_epochs_of_keras_are_steps(path):
    keras = pytest.importorskip("keras")
    from siltstone.integrations.keras import RunCallback

    inputs, outputs = np.arange(8.0).reshape(-1, 1), np.arange(8.0)
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile(loss="mse")
    with siltstone.init(path) as run:
        history = model.fit(inputs, outputs, epochs=3, verbose=0, validation_split=0.5, callbacks=[RunCallback(run)])
        run.flush()
        again = model.fit(inputs, outputs, epochs=2, verbose=0, validation_split=0.5, callbacks=[RunCallback(run)])
        run.flush()
        for name in ("loss", "val_loss"):
            both = history.history[name] + again.history[name]
            assert run.simulation.parent_db.metric(run.id, name) == list(enumerate(both))
