"""What /hub/metrics tells of a real start and its end, and what the docs and the dashboard say of it."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest
import requests
from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from shopfloor_jobs import helper
from shopfloor_jobs.job import Seen, State
from shopfloor_jobs.scheduler import SubmitRefused, Unreachable
from shopfloor_jobs.view import View
from shopfloor_spawners import metrics

from tests.cases import Case
from tests.harness import wait_until

DOCS = Path(__file__).parents[2] / "docs"
TAG = "shopfloor-server-0123456789abcdef"


def sample(case: Case, name: str, **labels: str) -> float:
    """The sum of a metric's samples with these labels; 0 where there is none."""
    answer = requests.get(
        f"{case.hub.url}/hub/metrics",
        headers={"Authorization": f"token {case.hub.admin_token}"},
        timeout=20,
    )
    assert answer.status_code == 200, answer.text
    return sum(
        one.value
        for family in text_string_to_metric_families(answer.text)
        for one in family.samples
        if one.name == name and labels.items() <= one.labels.items()
    )


def test_a_start_is_told_in_parts_and_its_end_with_its_cause(case: Case):
    hub = case.hub
    hub.add_user("alice")
    hub.start_server("alice")
    hub.wait_server("alice")
    for part in metrics.PARTS:
        counted = sample(case, "shopfloor_start_seconds_count", part=part)
        assert counted == 1, part
    ours = sum(
        sample(case, "shopfloor_start_seconds_sum", part=part)
        for part in metrics.PARTS
        if part != "queue"
    )
    assert 0.1 < ours < 60
    assert sample(case, "shopfloor_jobs", kind="server", state="running") == 1
    assert sample(case, "shopfloor_view_trouble") == 0
    assert sample(case, "shopfloor_view_age_seconds") < 60
    hub.stop_server("alice")
    case.wait_no_jobs()
    wait_until(lambda: sample(case, "shopfloor_ends_total", cause="stopped") == 1, 20, "it ended")


def test_metrics_are_nobody_elses_business(local_hub: Case):
    url = f"{local_hub.hub.url}/hub/metrics"
    assert requests.get(url, timeout=10).status_code == 403
    token = local_hub.hub.add_user("bob")
    headers = {"Authorization": f"token {token}"}
    assert requests.get(url, headers=headers, timeout=10).status_code == 403


@pytest.mark.slurm
def test_slurms_commands_are_counted_the_helpers_as_well(slurm_hub: Case):
    name = "shopfloor_scheduler_command_seconds_count"
    for command in ("squeue", "scontrol", "sacctmgr"):
        assert sample(slurm_hub, name, command=command, outcome="ok") >= 1, command
    submitted = sample(slurm_hub, name, command="sbatch")
    refused = sample(slurm_hub, name, command="sbatch", outcome="refused")
    slurm_hub.hub.add_user("bob")
    slurm_hub.hub.start_server("bob")
    slurm_hub.hub.wait_server("bob")
    assert sample(slurm_hub, name, command="sbatch") == submitted + 1
    assert sample(slurm_hub, name, command="sbatch", outcome="refused") == refused
    slurm_hub.hub.stop_server("bob")
    slurm_hub.wait_no_jobs()
    assert sample(slurm_hub, name, command="scancel", outcome="ok") >= 1


def test_each_command_is_recorded_with_how_it_went():
    with helper.recorded() as ran:
        helper.run(["true"], None, 5)
        with pytest.raises(SubmitRefused):
            helper.run(["false"], None, 5)
        with pytest.raises(Unreachable):
            helper.run(["sleep", "5"], None, 0.1)
    assert [(command, outcome) for command, _, outcome in ran] == [
        ("true", "ok"),
        ("false", "refused"),
        ("sleep", "no_answer"),
    ]
    assert ran[2][1] >= 0.1
    helper.run(["true"], None, 5)
    assert len(ran) == 3


def test_slurms_clock_is_compared_with_itself_alone():
    def total(part: str) -> float:
        return REGISTRY.get_sample_value("shopfloor_start_seconds_sum", {"part": part}) or 0.0

    queue, launch = total("queue"), total("launch")
    clock = metrics.StartClock()
    clock.submitted()
    # A controller whose clock is years behind the hub's.
    clock.reported(Seen("1", TAG, "alice", State.RUNNING, submitted=1000.0, started=1030.0))
    assert total("queue") - queue == 30
    assert total("launch") - launch == 0


def test_labels_are_few_whatever_names_people_give_their_jobs():
    tags = (TAG, "shopfloor-evil-0123456789abcdef", "shopfloor-more-0123456789abcdef")

    class Named:
        async def look(self) -> list[Seen]:
            return [Seen("1", tag, "bob", State.PENDING) for tag in tags]

    collector = metrics.ViewCollector(CollectorRegistry())
    collector.view = View(Named())
    asyncio.run(collector.view.job("bob", TAG, max_age=0))
    [jobs] = [family for family in collector.collect() if family.name == "shopfloor_jobs"]
    found = {tuple(one.labels.values()): one.value for one in jobs.samples}
    assert found == {
        ("server", "pending"): 1,
        ("server", "running"): 0,
        ("other", "pending"): 2,
    }
    metrics.command_ran("whatever", 0.1, "ok")
    name, labels = "shopfloor_scheduler_command_seconds_count", {"command": "whatever"}
    assert REGISTRY.get_sample_value(name, {**labels, "outcome": "ok"}) is None


def test_every_metric_is_explained_to_the_administrator():
    """When this fails: put what `python -m shopfloor_spawners.metrics` prints into the page."""
    assert metrics.table() in (DOCS / "administrator.md").read_text()


def test_the_dashboard_names_metrics_that_there_are_and_shows_each():
    known = re.findall(r"^\| `(\w+)`", metrics.table(), re.MULTILINE)
    board = json.loads((DOCS / "grafana.json").read_text())
    asked = " ".join(target["expr"] for panel in board["panels"] for target in panel["targets"])
    named = {
        re.sub(r"_(?:sum|count|bucket)$", "", one) for one in re.findall(r"shopfloor_\w+", asked)
    }
    assert named == set(known)
    assert all(panel["title"] and panel["description"] for panel in board["panels"])
