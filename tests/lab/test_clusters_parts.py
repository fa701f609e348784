"""The pure parts of clusters: what may be asked, what is passed on, what files and the scheduler's word make."""

from __future__ import annotations

import itertools
import json
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shopfloor_jobs import certificates
from shopfloor_jobs.fields import Refused
from shopfloor_jobs.job import Seen, State
from shopfloor_jobs.offer import Offer, Partition, Preset
from shopfloor_jobs.request import Request
from shopfloor_lab.address import address_towards
from shopfloor_lab.clusters import security, state
from shopfloor_lab.clusters.client import choose
from shopfloor_lab.clusters.command import memory_limit, worker_command
from shopfloor_lab.clusters.connection import (
    MOST_WORKERS,
    Connection,
    Ended,
    Plan,
    Share,
    check_name,
    check_workers,
)
from shopfloor_lab.clusters.environment import job_environment
from shopfloor_lab.clusters.planning import controller_request, worker_request

GB = 1024**3
ID = "shopfloor-cluster-0123456789abcdef"
NOW = 1_800_000_000.0


def plan(name: str = "one", created: float = NOW) -> Plan:
    request = Request(memory=GB).to_json()
    return Plan(name, 2, request, {"type": "local", "state": "/s"}, "", created)


def connection(name: str = "one", started: float = NOW, ident: str = ID) -> Connection:
    return Connection(ident, name, "tls://10.0.0.1:1", "a", "b", "c", "7", "n1", started, None)


def files(**given: Any) -> state.Files:
    empty = {"connection": None, "start": {}, "end": None, "exit": None, "log": ""}
    return state.Files(**{"id": ID, "path": Path("/x"), "plan": plan(), **empty, **given})


def seen(what: State, **given: Any) -> Seen:
    return Seen(id="7", tag=ID, owner="alice", state=what, **given)


ANSWER = {
    "workers": {"wanted": 2, "connected": 0, "rows": []},
    "memory": 0,
    "memory_limit": 0,
    "tasks": {},
    "problem": "",
}
WAITS = seen(State.PENDING, reason="what it needs is in use")


def test_a_shared_cluster_says_with_whom_until_that_is_over():
    found = files(share=Share("grant", ("bob",), ("vision",), NOW + 60))
    shared = {"people": ["bob"], "teams": ["vision"], "until": NOW + 60}
    assert state.describe(found, None, state.Sight(), NOW)["shared"] == shared
    assert state.describe(found, None, state.Sight(), NOW + 61)["shared"] is None
    assert state.describe(files(), None, state.Sight(), NOW)["shared"] is None


def test_a_cluster_that_waits_says_its_place_and_when_it_is_expected():
    waits = seen(State.PENDING, reason="others are before it", expected=NOW + 600, place=3)
    cluster = state.describe(files(), None, state.Sight(seen=waits), NOW)
    assert (cluster["place"], cluster["expected"]) == (3, NOW + 600)
    runs = seen(State.RUNNING, expected=NOW, place=1)
    cluster = state.describe(files(), None, state.Sight(seen=runs), NOW)
    assert (cluster["place"], cluster["expected"]) == (None, None)


@pytest.mark.parametrize(
    ("found", "answer", "sight", "shown"),
    [
        (files(), None, state.Sight(), ("submitted", None, None)),
        (files(), None, state.Sight(seen=WAITS), ("pending", "what it needs is in use", None)),
        (files(), None, state.Sight(seen=seen(State.RUNNING)), ("starting", None, None)),
        (files(connection=connection()), ANSWER, state.Sight(), ("running", None, None)),
        (
            files(connection=connection()),
            None,
            state.Sight(seen=seen(State.RUNNING)),
            ("running", "It does not answer at the moment.", None),
        ),
        (
            files(connection=connection()),
            None,
            state.Sight(seen=seen(State.ENDED, cause="its node failed")),
            ("ended", None, "its node failed"),
        ),
        (files(exit={"cause": "was stopped"}), None, state.Sight(), ("ended", None, "was stopped")),
        (
            files(exit={"cause": "ended by itself"}, end=Ended("You stopped it.", NOW)),
            None,
            state.Sight(),
            ("ended", None, "You stopped it."),
        ),
        (files(start={"host": "n1"}), None, state.Sight(), ("starting", None, None)),
        (
            files(start={"host": "n1"}),
            None,
            state.Sight(gone=True),
            ("ended", None, "The scheduler no longer knows it."),
        ),
    ],
)
def test_state_reason_and_cause_follow_from_what_is_known(
    found: state.Files,
    answer: dict[str, Any] | None,
    sight: state.Sight,
    shown: tuple[str, str | None, str | None],
) -> None:
    cluster = state.describe(found, answer, sight, NOW)
    assert (cluster["state"], cluster["reason"], cluster["cause"]) == shown


@pytest.mark.parametrize("last", ["pending", "running", "starting"])
def test_a_silent_scheduler_changes_no_state(last: str) -> None:
    sight = state.Sight(last=last, silence="Slurm did not answer squeue within 30 s")
    cluster = state.describe(files(), None, sight, NOW + 999)
    assert cluster["state"] == last
    assert "Slurm did not answer" in cluster["reason"]


def test_a_cluster_is_not_given_up_while_the_scheduler_may_not_list_it_yet() -> None:
    sight = state.Sight(gone=True)
    assert state.describe(files(), None, sight, NOW + 5)["state"] == "submitted"
    assert state.describe(files(), None, sight, NOW + 60)["state"] == "ended"


def test_one_that_has_ended_says_how_many_workers_it_was_started_with() -> None:
    """So many are proposed by *Start again*."""
    shown = state.describe(files(exit={"cause": "failed"}), None, state.Sight(), NOW, ANSWER)
    assert (shown["workers"]["wanted"], shown["workers"]["rows"]) == (2, [])


def test_one_that_waits_again_has_no_workers_of_before() -> None:
    waits = state.Sight(seen=seen(State.PENDING))
    shown = state.describe(files(connection=connection()), None, waits, NOW, ANSWER)
    assert shown["workers"]["connected"] == 0


def test_only_an_ended_cluster_shows_its_log() -> None:
    shown = state.describe(
        files(exit={"cause": "failed"}, log="no space"), None, state.Sight(), NOW
    )
    assert shown["log"] == "no space"
    running = files(connection=connection(), log="chatter")
    assert state.describe(running, ANSWER, state.Sight(), NOW)["log"] is None


@pytest.mark.parametrize("workers", [0, 1, MOST_WORKERS])
def test_a_number_of_workers_within_the_limit_is_taken(workers: int) -> None:
    assert check_workers(workers) == workers


@given(
    st.one_of(
        st.integers(max_value=-1),
        st.integers(min_value=MOST_WORKERS + 1),
        st.text(),
        st.floats(),
        st.booleans(),
        st.none(),
        st.lists(st.integers()),
    )
)
def test_any_other_number_of_workers_is_refused_naming_field_value_and_limit(value: Any) -> None:
    with pytest.raises(Refused, match=r"^workers: ") as refused:
        check_workers(value)
    assert refused.value.field == "workers" and refused.value.limit in str(refused.value)
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize("name", ["a", "cluster-1", "Big one_2.0", "x" * 40])
def test_a_plain_name_is_taken(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", " a", "a ", "x" * 41, "a\nb", "a/b", "../x", "#SBATCH", "$(id)", "é", 7, None, ["a"]],
)
def test_any_other_name_is_refused(name: Any) -> None:
    with pytest.raises(Refused, match=r"^name: "):
        check_name(name)


def test_tokens_and_granted_gpus_are_not_passed_on_but_the_software_is() -> None:
    lab = {
        "PATH": "/opt/env/bin",
        "CONDA_PREFIX": "/opt/env",
        "JUPYTER_DATA_DIR": "/d",
        "JUPYTERHUB_API_TOKEN": "secret",
        "JPY_API_TOKEN": "secret",
        "JUPYTER_TOKEN": "secret",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "CUDA_VISIBLE_DEVICES": "0",
        "SLURM_JOB_ID": "7",
        "SHOPFLOOR_TAG": "shopfloor-server-0123456789abcdef",
    }
    passed = job_environment(lab)
    assert {"PATH", "CONDA_PREFIX", "JUPYTER_DATA_DIR"} <= set(passed)
    assert not set(passed) & (set(lab) - {"PATH", "CONDA_PREFIX", "JUPYTER_DATA_DIR"})


@pytest.mark.parametrize("memory", [GB // 2, GB, 4 * GB, 256 * GB])
def test_dask_gives_up_before_the_job_is_ended_for_its_memory(memory: int) -> None:
    assert 128 * 1024**2 <= memory - memory_limit(memory) <= max(128 * 1024**2, memory // 16)


def test_a_worker_is_an_argument_list_with_certificates_and_without_http() -> None:
    command = worker_command("tls://10.0.0.1:1", ["worker-1"], Request(cpus=3), Path("/jobs/x"))
    pairs = dict(itertools.pairwise(command))
    assert pairs["--tls-key"] == "/jobs/x/tls/worker.key"
    assert pairs["--nthreads"] == "3"
    assert pairs["--worker-class"] == "shopfloor_lab.clusters.silent.Worker"
    assert pairs["--local-directory"].startswith("/jobs/x/")
    assert int(pairs["--death-timeout"]) <= 60


def test_an_expired_certificate_is_named_with_its_time_and_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(security, "BEYOND", 0)
    security.make_certificates(tmp_path / "tls", time.time() + 60)
    path = str(tmp_path / "tls" / "client.pem")
    assert security.expired(path) == ""
    monkeypatch.setattr(security.time, "time", lambda: NOW)
    until = time.strftime(
        "%d %B %Y at %H:%M", time.localtime(certificates.expires(Path(path).read_text()))
    )
    assert until in security.expired(path)
    assert "start another one" in security.expired(path)
    assert security.expired(str(tmp_path / "none")) == ""


def test_one_that_does_not_answer_says_what_lab_found_wrong() -> None:
    runs = state.Sight(seen=seen(State.RUNNING), trouble="Its certificate expired.")
    shown = state.describe(files(connection=connection(), start={"host": "n1"}), None, runs, NOW)
    assert (shown["state"], shown["reason"]) == ("running", "Its certificate expired.")


def test_one_that_could_write_no_record_says_why() -> None:
    over = state.Sight(
        seen=seen(State.ENDED, cause="failed"), trouble="your home directory /h is full"
    )
    shown = state.describe(files(), None, over, NOW)
    assert shown["cause"] == "failed; your home directory /h is full"


def gpu_offer() -> Offer:
    sizes = {"cpus": 8, "memory": 16 * GB, "nodes": 2, "time": 86400}
    return Offer(
        person="alice",
        site="S",
        scheduler={"type": "slurm"},
        partitions=(
            Partition("gpu", "gpu", {**sizes, "gpus": 4}, {"a100": 4}),
            Partition("cpu", "cpu", {**sizes, "gpus": 0}),
        ),
        presets=(Preset("small", "Small", Request(partition="cpu").to_json()),),
    )


def test_the_controller_of_gpu_workers_takes_one_cpu_and_no_gpu_for_as_long() -> None:
    worker = worker_request(
        gpu_offer(), {"partition": "gpu", "gpus": 1, "gpu_type": "a100", "time": "3h", "cpus": 4}
    )
    controller = controller_request(gpu_offer(), worker)
    assert (worker.gpus, worker.partition) == (1, "gpu")
    assert (controller.cpus, controller.gpus, controller.gpu_type) == (1, 0, "")
    assert (controller.partition, controller.time) == ("cpu", 3 * 3600)


def test_a_cluster_may_last_longer_than_its_workers_and_not_less() -> None:
    worker = worker_request(gpu_offer(), {"partition": "cpu", "time": "1h"})
    assert controller_request(gpu_offer(), worker, "4h").time == 4 * 3600
    with pytest.raises(Refused, match=r"lasts: .*30m.* is not possible: at least 1"):
        controller_request(gpu_offer(), worker, "30m")
    with pytest.raises(Refused, match=r"^lasts: "):
        controller_request(gpu_offer(), worker, "2-00:00:00")


@pytest.mark.parametrize(
    ("options", "field"),
    [({"nodes": 2}, "nodes"), ({"memory": "256M"}, "memory"), ({"cpus": 9}, "cpus")],
)
def test_what_no_worker_can_be_is_refused(options: dict[str, Any], field: str) -> None:
    with pytest.raises(Refused) as refused:
        worker_request(gpu_offer(), options)
    assert refused.value.field == field


def test_the_address_towards_a_host_is_ours_on_that_route() -> None:
    assert address_towards("127.0.0.1") == "127.0.0.1"
    assert address_towards("") == ""
    assert address_towards("no-such-host.invalid") == ""
    assert socket.inet_aton(address_towards("192.0.2.1") or "0.0.0.0")


class TestChoose:
    """Which cluster ``connect`` takes."""

    def put(self, home: Path, number: int, name: str, **given: Any) -> Path:
        path = home / f".local/share/shopfloor/jobs/shopfloor-cluster-{number:016x}"
        path.mkdir(parents=True)
        plan(name, NOW + number).write(path)
        for record in given.values():
            record.write(path)
        return path

    def test_the_newest_running_one_or_the_named_one(self, tmp_path: Path) -> None:
        self.put(tmp_path, 1, "old", record=connection("old", NOW + 1))
        self.put(tmp_path, 2, "new", record=connection("new", NOW + 2))
        assert choose(tmp_path, None).name == "new"
        assert choose(tmp_path, "old").name == "old"

    def test_none_waiting_and_ended_ones_are_each_said(self, tmp_path: Path) -> None:
        with pytest.raises(LookupError, match="No cluster is running: start one in the Jobs panel"):
            choose(tmp_path, None)
        self.put(tmp_path, 1, "slow")
        with pytest.raises(LookupError, match="'slow' is not ready yet"):
            choose(tmp_path, None)
        with pytest.raises(LookupError, match="No cluster named 'fast' is running"):
            choose(tmp_path, "fast")

    def test_a_file_that_a_killed_controller_left_is_not_taken(self, tmp_path: Path) -> None:
        path = self.put(tmp_path, 1, "dead", record=connection("dead"))
        (path / "exit-0.json").write_text(json.dumps({"ended": time.time(), "cause": "killed"}))
        with pytest.raises(LookupError, match="No cluster is running"):
            choose(tmp_path, None)

    def test_what_is_no_cluster_of_ours_is_passed_over(self, tmp_path: Path) -> None:
        path = self.put(tmp_path, 1, "odd")
        (path / "cluster.json").write_text('{"name": "odd"}')
        with pytest.raises(LookupError, match="No cluster is running"):
            choose(tmp_path, None)
