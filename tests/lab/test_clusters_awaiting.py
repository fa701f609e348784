"""A worker that was asked for before its cluster listens: how long it waits, what it prepares, what it leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from shopfloor_jobs import directory
from shopfloor_jobs.job import new_tag
from shopfloor_lab.clusters import awaiting
from shopfloor_lab.clusters.command import AWAITING
from shopfloor_lab.clusters.connection import Connection

from tests.jobs.waiting import wait_until

from .cluster_parts import START

TIME = 1000.0


@pytest.fixture
def cluster(tmp_path: Path) -> Path:
    """The job directory of its cluster."""
    path = tmp_path / new_tag("cluster")
    path.mkdir()
    return path


def connection(path: Path) -> Connection:
    return Connection(path.name, "c", "tls://10.0.0.1:9", "", "", "", "5", "node", TIME, None)


class Clock:
    """Seconds that go on by one at each look; ``then`` says what happens before the look at a second."""

    def __init__(self, then: dict[int, Callable[[], Any]]):
        self.then, self.looks = then, 0

    def __call__(self) -> float:
        if self.looks in self.then:
            self.then[self.looks]()
        self.looks += 1
        assert self.looks < 1000, "it waits for ever"
        return TIME + self.looks


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(awaiting, "PAUSES", ((float("inf"), 0.0),))
    yield


@pytest.mark.usefixtures("at_once")
def test_the_worker_takes_the_address_as_soon_as_the_cluster_says_it(cluster: Path):
    begins = lambda: directory.write_json(cluster / "start-0.json", {})  # noqa: E731
    clock = Clock({5: begins, 40: lambda: connection(cluster).write(cluster)})
    assert awaiting.address(cluster, clock) == "tls://10.0.0.1:9"
    assert clock.looks == 41


@pytest.mark.usefixtures("at_once")
def test_a_directory_that_cannot_be_read_for_a_moment_costs_no_worker(cluster: Path):
    away = cluster.rename(cluster.with_name("away"))

    def back() -> None:
        away.rename(cluster)
        connection(cluster).write(cluster)

    assert awaiting.address(cluster, Clock({7: back})) == "tls://10.0.0.1:9"


@pytest.mark.usefixtures("at_once")
def test_a_directory_that_stays_away_is_named(tmp_path: Path):
    with pytest.raises(awaiting.NoCluster, match=r"not begun yet.*cannot be read: No such file"):
        awaiting.address(tmp_path / "none", Clock({}))


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize(
    ("then", "words", "looks"),
    [
        ({}, "has not begun yet", 17),
        ({3: "start-0.json"}, "did not listen within 60 s", 65),
        ({3: "start-0.json", 9: "exit-0.json"}, "ended before", 10),
        ({3: "ended.json"}, "ended before", 4),
    ],
)
def test_the_worker_does_not_hold_its_place_for_long(
    cluster: Path, then: dict[int, str], words: str, looks: int
):
    clock = Clock(
        {at: (lambda n=name: directory.write_json(cluster / n, {})) for at, name in then.items()}
    )
    with pytest.raises(awaiting.NoCluster, match=words):
        awaiting.address(cluster, clock)
    assert clock.looks == pytest.approx(looks, abs=1)


def run_awaiting(cluster: Path, job: Path, **environment: str) -> subprocess.Popen[str]:
    own = {"SHOPFLOOR_JOB_DIR": str(job), "SHOPFLOOR_INDEX": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", AWAITING, "json.tool", str(cluster)],
        env={**os.environ, **own, **environment},
        stderr=subprocess.PIPE,
        text=True,
    )


def test_its_cause_goes_into_the_exit_record(cluster: Path, tmp_path: Path):
    directory.write_json(cluster / "exit-0.json", {})
    process = run_awaiting(cluster, tmp_path)
    assert process.wait(START) == 1
    cause = directory.read_json(tmp_path / "ending-1.json")["cause"]
    assert cause == "the cluster ended before this worker could connect"


def test_it_ends_at_once_when_it_is_told_to_and_leaves_nothing_on_the_node(
    cluster: Path, tmp_path: Path
):
    temporary = tmp_path / "node"
    temporary.mkdir()
    process = run_awaiting(cluster, tmp_path, TMPDIR=str(temporary))
    wait_until(lambda: list(temporary.glob("pymp-*/*")), START, "its server has a socket")
    process.send_signal(signal.SIGTERM)
    assert process.wait(5) == 128 + signal.SIGTERM
    assert list(temporary.iterdir()) == []


# Begins the server as a worker does that waits, and says what came of it.
PREPARED = """
import json, multiprocessing, os, socket
import dask
from shopfloor_lab.clusters.awaiting import prepare_fork
prepare_fork()
print(json.dumps({
    "seed": os.environ["PYTHONHASHSEED"],
    "method": dask.config.get("distributed.worker.multiprocessing-method", "spawn"),
}))
"""


def prepared(source: str = PREPARED, **environment: str) -> subprocess.CompletedProcess[str]:
    usual = {name: value for name, value in os.environ.items() if name != "PYTHONHASHSEED"}
    return subprocess.run(
        [sys.executable, "-c", source],
        env={**usual, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )


@pytest.mark.parametrize(
    ("environment", "configured", "seed"),
    [
        (None, None, "6640"),
        ("42", None, "6640"),
        ("0", "7", "6640"),
        (None, "7", "7"),
        ("42", "7", "42"),
    ],
)
def test_its_seed_is_the_one_that_the_nanny_gives_a_worker_that_it_spawns(
    environment: str | None, configured: str | None, seed: str
):
    """The same as in distributed.nanny, by whatever a kernel's environment and dask's configuration say."""
    variables = {"PYTHONHASHSEED": environment} if environment else {}
    if configured:
        name = "DASK_DISTRIBUTED__NANNY__PRE_SPAWN_ENVIRON"
        variables[name] = json.dumps({"PYTHONHASHSEED": configured})
    assert json.loads(prepared(**variables).stdout)["seed"] == seed
    from_dask = "import os, distributed.nanny as n; print(n.Nanny('tcp://127.0.0.1:9').env['PYTHONHASHSEED'])"
    assert prepared(from_dask, **variables).stdout.strip() == seed


def test_where_no_socket_can_be_made_the_worker_is_spawned_as_ever(tmp_path: Path):
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    done = prepared(TMPDIR=str(deep))
    assert json.loads(done.stdout)["method"] == "spawn"
    assert "spawned, not forked: AF_UNIX path too long" in done.stderr
    assert json.loads(prepared().stdout)["method"] == "forkserver"


# As Python 3.10.8 and before chose the server's address.
OLDER = """
from multiprocessing import connection, util
util.abstract_sockets_supported = True
connection.arbitrary_address = lambda family: (
    "\\0listener-1-0" if util.abstract_sockets_supported else "listener"
)
"""


def test_the_servers_socket_is_never_one_that_everybody_on_the_node_can_open(tmp_path: Path):
    source = f"import os\nos.chdir({str(tmp_path)!r})\n{OLDER}{PREPARED}"
    assert json.loads(prepared(source).stdout)["method"] == "forkserver"
    assert [path.name for path in tmp_path.iterdir()] == ["listener"]


DRAWS = """
import os, numpy.random
import shopfloor_lab.clusters.forked
def draw():
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.write(writer, str(numpy.random.random()).encode())
        os._exit(0)
    os.wait()
    return os.read(reader, 100)
print(draw() != draw())
"""


def test_a_worker_that_is_started_again_draws_other_random_numbers():
    assert prepared(DRAWS).stdout.strip() == "True"
