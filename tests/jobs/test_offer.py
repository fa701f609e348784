"""The one check: what becomes of options, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shopfloor_jobs.caps import Cap
from shopfloor_jobs.fields import Refused
from shopfloor_jobs.idle import Rule
from shopfloor_jobs.offer import (
    Choice,
    ClusterTerms,
    KernelTerms,
    Offer,
    Partition,
    Preset,
    hardware,
)
from shopfloor_jobs.request import FIELDS, Request

from tests.jobs.test_fields import assert_fit_to_show
from tests.jobs.values import OPTIONS

GB = 1024**3
OFFER = Offer(
    person="alice",
    site="Test site",
    scheduler={"type": "local", "state": "/nowhere"},
    partitions=(
        Partition("cpu", "CPU nodes", {"cpus": 64, "memory": 256 * GB, "nodes": 4, "gpus": 0}),
        Partition(
            "gpu",
            "GPU nodes",
            {"cpus": 32, "memory": 128 * GB, "nodes": 2, "gpus": 4, "time": 86400},
            {"a100": 4, "l40": 2},
        ),
    ),
    presets=(
        Preset("broken", "Broken", {"cpus": 1}, disabled="it is being repaired"),
        Preset("small", "Small CPU", {"cpus": 2, "memory": 4 * GB, "partition": "cpu"}),
        Preset("gpu", "One GPU", {"cpus": 8, "gpus": 1, "gpu_type": "a100", "partition": "gpu"}),
    ),
    limits={"cpus": 48, "time": 2 * 86400},
    choices={"account": (Choice("ml"),), "qos": (Choice("normal"), Choice("high"))},
    kernels=KernelTerms(Rule(7200, 600), {"gpu": Rule(1800, 300)}),
)


def test_no_options_are_the_first_preset_that_can_be_had():
    assert OFFER.check({}) == Request(cpus=2, memory=4 * GB, partition="cpu", account="ml")


def test_what_is_given_goes_before_the_preset():
    request = OFFER.check({"preset": "gpu", "cpus": "4", "memory": "8G", "time": "1h"})
    assert (request.cpus, request.memory, request.time) == (4, 8 * GB, 3600)
    assert (request.gpus, request.gpu_type, request.partition) == (1, "a100", "gpu")


def test_a_partition_that_nobody_named_gives_way_to_one_that_can_run_it():
    assert OFFER.check({"preset": "small", "gpus": 2}).partition == "gpu"
    assert OFFER.check({"preset": "gpu", "gpus": 0, "nodes": 4}).partition == "cpu"


def test_without_gpus_the_presets_gpu_type_does_not_count():
    assert OFFER.check({"preset": "gpu", "gpus": 0}).gpu_type == ""


@pytest.mark.parametrize(
    ("options", "field", "limit"),
    [
        ({"preset": "smal"}, "preset", "one of broken, small, gpu, did you mean 'small'?"),
        ({"preset": "broken"}, "preset", "it is being repaired"),
        ({"preset": ["gpu"]}, "preset", "one of broken, small, gpu"),
        ({"cpus": 49}, "cpus", "at most 48"),
        ({"cpus": 40, "partition": "gpu"}, "cpus", "at most 32 on gpu"),
        ({"memory": "300G"}, "memory", "at most 256 GB on cpu"),
        ({"time": "3 days"}, "time", "at most 2 days"),
        ({"time": "25h", "preset": "gpu"}, "time", "at most 24 h on gpu"),
        ({"gpus": 1, "partition": "cpu"}, "gpus", "at most 0 on cpu"),
        ({"gpus": 3, "gpu_type": "l40"}, "gpus", "at most 2 of type l40"),
        ({"gpus": 1, "gpu_type": "h100"}, "gpu_type", "one of a100, l40 on partition gpu"),
        ({"gpu_type": "a100"}, "gpu_type", "empty where no GPU is asked for"),
        ({"partition": "gpus"}, "partition", "one of cpu, gpu, did you mean 'gpu'?"),
        ({"account": "other"}, "account", "one of ml"),
        ({"qos": "low"}, "qos", "one of normal, high"),
        ({"reservation": "x"}, "reservation", "nothing can be chosen here"),
        ({"environment": "x"}, "environment", "nothing can be chosen here"),
        ({"mem": "4G"}, "mem", "there is no such field, did you mean 'memory'?"),
        ({"cmd": "x"}, "cmd", "there is no such field"),
        ([], "options", "an object of field names and values"),
        ("preset", "options", "an object of field names and values"),
        (None, "options", "an object of field names and values"),
    ],
)
def test_what_is_refused_names_field_and_limit(options: Any, field: str, limit: str):
    with pytest.raises(Refused) as refusal:
        OFFER.check(options)
    assert refusal.value.field == field
    assert limit in refusal.value.limit


@given(OPTIONS)
def test_any_options_make_a_request_within_the_offer_or_are_refused(options: dict[str, Any]):
    try:
        request = OFFER.check(options)
    except Refused as refusal:
        assert_fit_to_show(refusal, None)
        return
    assert_within(request)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "preset": st.sampled_from(["small", "gpu"]),
            "cpus": st.integers(1, 80),
            "memory": st.integers(GB, 400 * GB),
            "gpus": st.integers(0, 6),
            "gpu_type": st.sampled_from(["", "a100", "l40", "h100"]),
            "nodes": st.integers(1, 6),
            "time": st.integers(60, 3 * 86400),
            "partition": st.sampled_from(["", "cpu", "gpu"]),
            "qos": st.sampled_from(["", "normal", "high", "low"]),
        },
    )
)
def test_plausible_options_make_a_request_within_the_offer_or_are_refused(options: dict[str, Any]):
    try:
        request = OFFER.check(options)
    except Refused as refusal:
        assert refusal.field in FIELDS
        return
    assert_within(request)
    for name, value in options.items():
        if name != "preset" and value != "":
            assert getattr(request, name) == value
    assert OFFER.check({"preset": "small", **request.to_json()}) == request


def assert_within(request: Request) -> None:
    partition = next(one for one in OFFER.partitions if one.name == request.partition)
    for name, most in (*OFFER.limits.items(), *partition.limits.items()):
        assert getattr(request, name) <= most
    for name, choices in OFFER.choices.items():
        assert getattr(request, name) in ("", *(choice.value for choice in choices))
    assert request.reservation == request.environment == ""
    if request.gpu_type:
        assert 0 < request.gpus <= partition.gpu_types[request.gpu_type]


def test_an_offer_is_the_same_after_its_way_to_a_node():
    there = Offer.from_json(json.loads(json.dumps(OFFER.to_json())))
    assert there.to_json() == OFFER.to_json()
    for options in ({}, {"preset": "gpu"}, {"gpus": 2, "time": "5h"}):
        assert there.check(options) == OFFER.check(options)
        assert there.idle_of(options) == OFFER.idle_of(options)


def test_an_offer_of_an_earlier_hub_says_nothing_of_kernels_and_ends_none():
    earlier = OFFER.to_json()
    del earlier["kernels"]
    assert Offer.from_json(earlier).idle_of({"preset": "gpu"}) == Rule()


CAPPED = replace(
    OFFER, caps=(Cap("gpus", 4, "Project climate"),), clusters=ClusterTerms(idle=Rule(3600, 600))
)
OBJECTS = [
    (),
    ("partitions", 1),
    ("presets", 1),
    ("presets", 2, "request"),
    ("choices", "qos", 0),
    ("caps", 0),
    ("clusters",),
    ("clusters", "idle"),
    ("kernels",),
    ("kernels", "idle"),
    ("kernels", "presets", "gpu"),
]


def inside(data: Any, *way: int | str) -> Any:
    for step in way:
        data = data[step]
    return data


@pytest.mark.parametrize("way", OBJECTS)
def test_what_only_a_later_hub_says_is_left_out(way: tuple[int | str, ...]):
    data = json.loads(json.dumps(CAPPED.to_json()))
    inside(data, *way)["later"] = 1
    there = Offer.from_json(data)
    assert there == Offer.from_json(CAPPED.to_json())
    assert there.check({"preset": "gpu"}) == CAPPED.check({"preset": "gpu"})
    assert there.to_json() == CAPPED.to_json()


@pytest.mark.parametrize(
    ("way", "name"),
    [
        ((), "person"),
        (("partitions", 1), "name"),
        (("presets", 1), "request"),
        (("choices", "qos", 0), "value"),
        (("caps", 0), "most"),
        (("clusters",), "workers"),
        (("kernels",), "idle"),
    ],
)
def test_an_offer_that_lacks_what_every_hub_says_is_none(way: tuple[int | str, ...], name: str):
    data = json.loads(json.dumps(CAPPED.to_json()))
    del inside(data, *way)[name]
    with pytest.raises((KeyError, TypeError)):
        Offer.from_json(data)


@pytest.mark.parametrize("way", [way for way in OBJECTS if way])
def test_an_offer_with_something_else_where_an_object_stands_is_none(way: tuple[int | str, ...]):
    data = json.loads(json.dumps(CAPPED.to_json()))
    inside(data, *way[:-1])[way[-1]] = "an object"
    with pytest.raises((KeyError, TypeError)):
        Offer.from_json(data)


def test_a_request_is_told_in_one_line():
    assert hardware(Request(cpus=8, memory=32 * GB, gpus=1, gpu_type="a100")) == (
        "1 A100, 8 CPUs, 32 GB for 2 h"
    )
    assert hardware(Request(nodes=2)) == "2 nodes, each 1 CPU, 2 GB for 2 h"
