"""Which idle rule a server gets: the site's, its preset's, or that of the scheduler where the site says nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from shopfloor_hub import offer
from shopfloor_hub.server_environment import (
    cluster_idle_rule,
    idle_of,
    idle_rule,
    kernel_idle_rule,
    preset_of,
)
from shopfloor_hub.site import Site, SiteError, parse
from shopfloor_jobs.idle import Rule
from shopfloor_jobs.offer import Offer, Preset
from shopfloor_jobs.scheduler import Description, Unreachable

SLURM = "[scheduler]\ntype = 'slurm'\nhelper = '/opt/helper'\n"
PRESETS = (
    "[idle]\nafter = '4h'\nwarning = '20m'\n[[presets]]\nname = 'cpu'\nidle = 0\n"
    "[[presets]]\nname = 'gpu'\nidle = '30m'\n[[presets]]\nname = 'other'\n"
)


@dataclass
class OptionsOnly:
    """A spawner of which nothing is known but its options, and the offer's default preset."""

    user_options: dict[str, Any] = field(default_factory=dict)
    default: str = ""

    def offer(self) -> Offer:
        if not self.default:
            raise Unreachable("slurmctld does not answer")
        preset = Preset(self.default, "", {})
        return Offer("alice", "", {"type": "local"}, (), (preset,))


@pytest.mark.parametrize(
    ("text", "after"), [("", 0), (SLURM, 7200), (SLURM + "[idle]\nafter=0", 0)]
)
def test_servers_on_slurm_end_after_two_hours_without_work_unless_the_site_says_otherwise(
    text, after
):
    assert idle_rule(parse(text), "") == Rule(after, 600)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", Rule(0, 600)),
        (SLURM, Rule(7200, 600)),
        (SLURM + "[idle]\nafter = '1h'\nwarning = '5m'", Rule(3600, 300)),
        (SLURM + "[clusters]\nidle = '30m'", Rule(1800, 600)),
        (SLURM + "[clusters]\nidle = 0", Rule(0, 600)),
    ],
)
def test_dask_clusters_have_the_usual_rule_unless_the_site_has_another_for_them(text, rule):
    assert cluster_idle_rule(parse(text)) == rule


@pytest.mark.parametrize(
    ("preset", "rule"),
    [
        ("cpu", Rule(0)),
        ("gpu", Rule(1800, 900)),
        ("other", Rule(14400, 1200)),
        ("", Rule(14400, 1200)),
    ],
)
def test_a_preset_may_override_it_or_switch_it_off(preset, rule):
    assert idle_rule(parse(PRESETS), preset) == rule


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", Rule(0, 600)),
        (SLURM, Rule(7200, 600)),
        (SLURM + "[kernels]\nidle = '30m'", Rule(1800, 600)),
        (SLURM + "[kernels]\nidle = 0", Rule(0, 600)),
    ],
)
def test_kernels_have_the_usual_rule_unless_the_site_has_another_for_them(text, rule):
    assert kernel_idle_rule(parse(text)) == rule


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({}, Rule(0)),
        ({"preset": "cpu"}, Rule(0)),
        ({"preset": "gpu"}, Rule(1800, 900)),
        ({"preset": "other"}, Rule(3600, 1200)),
        ({"preset": "gpu", "time": "1h"}, Rule(3600, 1200)),
        ({"preset": "unknown"}, Rule(3600, 1200)),
        ({"gpus": 1}, Rule(3600, 1200)),
    ],
)
def test_a_preset_has_the_same_rule_for_kernels_as_for_servers(options, rule):
    offered = offer.build(
        parse(PRESETS + "[kernels]\nidle = '1h'"), Description("", "", ()), "alice"
    )
    there = Offer.from_json(json.loads(json.dumps(offered.to_json())))
    assert there.idle_of(options) == rule


@pytest.mark.parametrize(
    ("spawner", "preset"),
    [
        (OptionsOnly({"preset": "gpu"}), "gpu"),
        (OptionsOnly({}, default="cpu"), "cpu"),
        (OptionsOnly({}), ""),
        (OptionsOnly({"preset": "cpu", "gpus": 4}), ""),
        (OptionsOnly({"gpus": 4}, default="cpu"), ""),
    ],
)
def test_only_a_preset_as_it_is_counts_as_that_preset(spawner, preset):
    assert preset_of(spawner) == preset


def test_the_rule_reaches_the_servers_environment():
    variables = idle_of(parse(PRESETS))
    spawner = OptionsOnly({"preset": "gpu"})
    environment = {name: value(spawner) for name, value in variables.items()}
    assert Rule.from_environment(environment) == Rule(1800, 900)


@pytest.mark.parametrize("value", ["'soon'", "-1", "'-5m'", "true"])
def test_what_is_no_time_is_refused_by_name(value):
    with pytest.raises(SiteError, match=r"line 2: idle\.after: .* is not possible: "):
        parse(f"[idle]\nafter = {value}")


def test_nothing_is_ended_on_a_machine_of_ones_own():
    assert idle_rule(Site(), "small").after == 0
