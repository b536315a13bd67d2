"""Lakes in S3, by moto's server: senders that race, are killed, lose their network; stores that cannot hold a log."""

import collections
import contextlib
import os
import random
import resource
import signal
import sqlite3
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

pytest.importorskip("boto3", reason="moto[s3] and flask are not installed")
pytest.importorskip("moto", reason="moto[s3] and flask are not installed")
pytest.importorskip("flask_cors", reason="moto[s3] and flask are not installed")

import lake_s3
import lake_world

import siltstone
from siltstone import errors
from siltstone.memory import SQLiteStorage

#: Runs of a test that draws what goes wrong.
ROUNDS = int(os.environ.get("SILTSTONE_LAKE_ROUNDS", "10"))
SEED = int(os.environ.get("SILTSTONE_LAKE_SEED", "20261130"))


@pytest.fixture(scope="module")
def store():
    """A store's port."""
    with lake_s3.moto() as port:
        yield port


@pytest.fixture
def bucket(store, request):
    """An empty bucket, which the environment leads to."""
    name = f"b{abs(hash(request.node.name))}"
    with lake_s3.using(lake_s3.environment(store)):
        yield lake_s3.Bucket(store, name)


def remember(path, first, until):
    """Learning events with numbers of their own as times."""
    with SQLiteStorage(path) as memory:
        memory.store_learning_events(
            [
                {"task_type": "maze", "performance_delta": 0.5, "strategy_used": "explore", "timestamp": float(n)}
                for n in range(first, until)
            ]
        )


def publish(path, lake, **options):
    with siltstone.open(path) as db:
        return db.publish(lake, **options)


def test_a_bucket_gets_what_is_new_once(bucket, tmp_path):
    """Goal: publish, publish again, write more, publish: the rows by the log are those of the file."""
    path, lake = tmp_path / "agent.db", f"s3://{bucket.name}/team/lake"
    remember(path, 0, 100)
    assert publish(path, lake)["learning_events"].rows == 100
    assert publish(path, lake) == {}
    remember(path, 100, 150)
    assert publish(path, lake)["learning_events"].commits == 1
    assert bucket.rows("team/lake/learning_events", "timestamp") == [float(n) for n in range(150)]
    assert not bucket.names("team/lake/_siltstone_probe"), "the probe is removed"


def test_a_large_segment_goes_in_parts(bucket, tmp_path):
    """Goal: a file of more than 8 MB is sent in several parts and is the file that was made."""
    draw = np.random.default_rng(SEED)
    with SQLiteStorage(tmp_path / "agent.db") as memory:
        for n in range(18):
            memory.store_episode(draw.bytes(1 << 20), float(n), "large", timestamp=float(n))
    done = publish(tmp_path / "agent.db", f"s3://{bucket.name}/lake")
    assert done["episodes"].bytes > 16 << 20
    (name,) = [name for name in bucket.names("lake/episodes/") if name.endswith(".parquet")]
    assert bucket.client.head_object(Bucket=bucket.name, Key=name)["ETag"].endswith('-3"')
    assert bucket.rows("lake/episodes", "timestamp") == [float(n) for n in range(18)]


def test_eight_senders_race(bucket, silt, tmp_path):
    """Goal: eight processes that commit to one table at the same instant, and two of one file: no row is lost
    or there twice.
    """
    lake = f"s3://{bucket.name}/lake"
    paths = [tmp_path / f"agent-{sender}.db" for sender in range(8)]
    for turn in range(3):
        for sender, path in enumerate(paths):
            first = sender * 1_000 + turn * 10
            remember(path, first, first + 10)
        command, twice = [silt, "publish", "--to", lake], [*paths, paths[0]]
        senders = [subprocess.Popen([*command, path], stdout=subprocess.DEVNULL) for path in twice]
        assert [sender.wait() for sender in senders] == [0] * 9
    expected = [float(sender * 1_000 + n) for sender in range(8) for n in range(30)]
    assert bucket.rows("lake/learning_events", "timestamp") == expected


def refused(silt, path, lake):
    """How the command and the library refuse a lake; no secret is in what they say."""
    done = subprocess.run([silt, "publish", path, "--to", lake], capture_output=True, text=True, timeout=120)
    with pytest.raises(errors.SiltstoneError) as error:
        publish(path, lake)
    said = [done.stderr, str(error.value), repr(error.value)]
    assert done.returncode != 0 and not any(lake_s3.SECRET in text for text in [*said, done.stdout])
    return error, said


def test_credentials_that_are_wrong_are_told_without_them(bucket, store, silt, tmp_path):
    """Goal: the error says what the store said, and neither library nor command shows the secret."""
    remember(tmp_path / "agent.db", 0, 1)
    lake_s3.request(store, "POST", "/moto-api/reset-auth", b"0")
    try:
        error, said = refused(silt, tmp_path / "agent.db", f"s3://{bucket.name}/lake")
    finally:
        lake_s3.request(store, "POST", "/moto-api/reset-auth", b"inf")
    assert error.type is errors.ServerError
    assert all(f"s3://{bucket.name}/lake" in text and "InvalidAccessKeyId" in text for text in said), said


def test_a_token_that_expired_is_not_shown(silt, tmp_path):
    """Goal: S3 repeats a token that is expired in its answer; an error does not."""
    remember(tmp_path / "agent.db", 0, 1)
    answer = "<Error><Code>ExpiredToken</Code><Message>It has expired.</Message><Token-0>{}</Token-0></Error>"
    proxy = lake_s3.Always(400, answer.format(lake_s3.SECRET).encode())
    with lake_s3.using(lake_s3.environment(proxy.port) | {"AWS_SESSION_TOKEN": lake_s3.SECRET}):
        _, said = refused(silt, tmp_path / "agent.db", "s3://bucket/lake")
    proxy.close()
    assert all("ExpiredToken" in text for text in said), said


def test_a_store_that_lets_two_win_is_refused(bucket, store, silt, tmp_path):
    """Goal: a store that ignores put-if-absent would lose commits: it is refused by name, and nothing is there."""
    remember(tmp_path / "agent.db", 0, 1)
    proxy, lake = lake_s3.WithoutCondition(store), f"s3://{bucket.name}/lake"
    with lake_s3.using(lake_s3.environment(proxy.port)):
        error, said = refused(silt, tmp_path / "agent.db", lake)
    proxy.close()
    assert error.type is errors.InvalidError
    assert all(lake in text and "put-if-absent" in text for text in said), said
    assert bucket.names("") == []
    assert publish(tmp_path / "agent.db", lake)["learning_events"].rows == 1, "without the proxy it is taken"


def until_it_is_there(path, lake):
    """Publishes again and again; returns how often it failed."""
    for attempt in range(200):
        try:
            publish(path, lake)
            return attempt
        except errors.ServerError:
            pass
    raise AssertionError("no publish of 200 went well")


def send(path, number, lake):
    failures = 0
    for turn in range(3):
        first = number * 1_000 + turn * 10
        remember(path, first, first + 10)
        failures += until_it_is_there(path, lake)
    return failures


@pytest.mark.parametrize("share", [0.1, 0.4])
def test_a_network_that_fails_and_repeats_gives_each_row_once(bucket, store, tmp_path, share):
    """Goal: requests that are lost, repeated, delayed and cut, and two files that publish at once: each row is once."""
    proxy, runs = lake_s3.Chaos(store, SEED, share), range(max(1, ROUNDS // 2))
    with lake_s3.using(lake_s3.environment(proxy.port)), ThreadPoolExecutor(16) as pool:
        sent = [
            pool.submit(send, tmp_path / f"{run}-{number}.db", number, f"s3://{bucket.name}/{run}")
            for run in runs
            for number in range(2)
        ]
        failures = sum(one.result() for one in sent)
    proxy.close()
    expected = [float(number * 1_000 + n) for number in range(2) for n in range(30)]
    for run in runs:
        assert bucket.rows(f"{run}/learning_events", "timestamp") == expected, f"run {run}"
    print(f"{len(runs)} runs, publishes that failed: {failures}, requests: {proxy.seen}")


def stage(path):
    """How far the ledger of a file says that a publish came."""
    with sqlite3.connect(path) as plain:
        if plain.execute("SELECT count(*) FROM publish_table WHERE pending IS NOT NULL").fetchone()[0]:
            return "committing"
        sent = plain.execute("SELECT count(*) FROM publish_segment WHERE state = 'sent'").fetchone()[0]
        return "sent" if sent else "begun or done"


def test_a_sender_that_is_killed_goes_on(bucket, silt, tmp_path):
    """Goal: SIGKILL at random instants, between upload, commit and mark: each row is once."""
    draw, path, lake = random.Random(SEED), tmp_path / "agent.db", f"s3://{bucket.name}/lake"
    command = [silt, "publish", path, "--to", lake]
    rows, killed, turns, stages = 0, 0, 0, collections.Counter()
    while killed < ROUNDS:
        remember(path, rows, rows + 10)
        rows += 10
        if turns % 20 == 0:
            start = time.monotonic()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            longest = 1.2 * (time.monotonic() - start)
            assert bucket.rows("lake/learning_events", "timestamp") == [float(n) for n in range(rows)], f"turn {turns}"
        else:
            sender = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            with contextlib.suppress(subprocess.TimeoutExpired):
                sender.wait(draw.uniform(0.3, 1) * longest)
            sender.kill()
            _, said = sender.communicate()
            assert sender.returncode in (0, -9), said
            killed += sender.returncode == -9
            stages[stage(path)] += sender.returncode == -9
        turns += 1
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    assert bucket.rows("lake/learning_events", "timestamp") == [float(n) for n in range(rows)]
    print(f"{killed} of {turns} senders were killed, within {longest:.2f} s: {dict(stages)}")


@pytest.fixture
def small_disk(tmp_path):
    """A folder with room for 1 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder]
    if os.name != "posix" or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("no file system may be mounted here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_disk_that_is_full_is_told_and_the_next_publish_goes_on(small_disk, silt, tmp_path):
    """Goal: ENOSPC of a local lake is a clear error, leaves no half file, and what was there is read."""
    path, lake = tmp_path / "agent.db", small_disk / "lake"
    remember(path, 0, 10)
    publish(path, str(lake))
    draw = np.random.default_rng(SEED)
    with SQLiteStorage(path) as memory:
        for n in range(3):
            memory.store_episode(draw.bytes(1 << 20), float(n), "large", timestamp=float(n))
    remember(path, 10, 20)
    done = subprocess.run([silt, "publish", path, "--to", lake], capture_output=True, text=True)
    with pytest.raises(errors.StorageError, match="No space left|no space left"):
        publish(path, str(lake))
    assert done.returncode != 0 and "o space left" in done.stderr and str(lake) in done.stderr, done.stderr
    assert lake_world.local_rows(lake / "learning_events", "timestamp")[:10] == [float(n) for n in range(10)]
    assert not [file for file in lake.rglob("*") if file.is_file() and file.suffix not in (".parquet", ".json")]
    subprocess.run(["mount", "-o", "remount,size=16m", small_disk], check=True)
    publish(path, str(lake))
    assert lake_world.local_rows(lake / "learning_events", "timestamp") == [float(n) for n in range(20)]
    assert lake_world.local_rows(lake / "episodes", "timestamp") == [0.0, 1.0, 2.0]


def test_a_file_that_may_not_grow_is_told(silt, tmp_path):
    """Goal: a quota that a segment does not fit in is a clear error; without it the next publish goes on."""
    path, lake = tmp_path / "agent.db", tmp_path / "lake"
    with SQLiteStorage(path) as memory:
        memory.store_episode(np.random.default_rng(SEED).bytes(2 << 20), 0.0, "large", timestamp=0.0)

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

    options = {"capture_output": True, "text": True, "preexec_fn": limit, "restore_signals": False}
    done = subprocess.run([silt, "publish", path, "--to", lake], **options)
    assert done.returncode != 0 and "File too large" in done.stderr, done.stderr
    assert publish(path, str(lake))["episodes"].rows == 1
    assert lake_world.local_rows(lake / "episodes", "timestamp") == [0.0]
