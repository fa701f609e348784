"""Offers: what the scheduler has, within what the site allows, and why a preset cannot be had."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest
from shopfloor_hub import environments, offers
from shopfloor_hub.offer import build
from shopfloor_hub.offers import Offers
from shopfloor_hub.site import parse
from shopfloor_jobs.accounts import Account, Accounts, Reservation
from shopfloor_jobs.fields import Refused
from shopfloor_jobs.offer import Offer
from shopfloor_jobs.request import Request
from shopfloor_jobs.scheduler import Description, PartitionInfo, Unreachable

GB = 1024**3
CPU = PartitionInfo("cpu", nodes=4, cpus=16, memory=64 * GB, time=86400, default=True)
GPU = PartitionInfo("gpu", nodes=2, cpus=32, memory=128 * GB, gpus={"a100": 4, "l40": 2})
DOWN = PartitionInfo("gpu", nodes=2, cpus=32, memory=128 * GB, gpus={"a100": 4}, up=False)
SLURM = "[scheduler]\ntype = 'slurm'\nhelper = '/opt/helper'\n"


def offer_of(text: str, *partitions: PartitionInfo) -> Offer:
    return build(parse(text), Description("test", "1", partitions), "alice")


def disabled(offer: Offer) -> dict[str, str]:
    return {preset.name: preset.disabled for preset in offer.presets}


def test_without_presets_a_site_offers_small_gpu_and_whole():
    offer = offer_of(SLURM, GPU, CPU)
    assert disabled(offer) == {"small": "", "gpu": "", "whole": ""}
    assert offer.default_preset.label == "Small CPU"
    gpu = offer.check({"preset": "gpu"})
    assert (gpu.gpus, gpu.cpus, gpu.memory, gpu.partition) == (1, 8, 32 * GB, "gpu")
    whole = offer.check({"preset": "whole"})
    assert (whole.cpus, whole.memory, whole.partition) == (16, 64 * GB, "cpu")


def test_the_default_partition_comes_first_where_the_site_names_none():
    assert [one.name for one in offer_of(SLURM, GPU, CPU).partitions] == ["cpu", "gpu"]


def test_the_site_orders_and_narrows_partitions():
    text = (
        "[[partitions]]\nname='gpu'\nlabel='GPUs'\ngpus=1\n[[partitions]]\nname='cpu'\ntime='2h'\n"
    )
    first, second = offer_of(SLURM + text, CPU, GPU).partitions
    assert (first.label, first.limits["gpus"], first.gpu_types) == (
        "GPUs",
        1,
        {"a100": 1, "l40": 1},
    )
    assert second.limits["time"] == 2 * 3600


def test_a_site_cannot_promise_more_than_the_scheduler_gives():
    text = "[[partitions]]\nname='cpu'\ncpus=64\ntime='30d'\n"
    assert offer_of(SLURM + text, CPU).partitions[0].limits["cpus"] == 16
    assert offer_of(SLURM + text, CPU).partitions[0].limits["time"] == 86400


def test_the_site_limits_hold_on_every_partition():
    offer = offer_of(SLURM + "[limits]\ncpus = 2\n", CPU, GPU)
    with pytest.raises(Refused, match="cpus: 3 is not possible: at most 2"):
        offer.check({"cpus": 3})
    assert disabled(offer) == {"small": "", "gpu": "", "whole": ""}, "usual presets keep to them"


def test_one_machine_without_a_gpu_says_so():
    assert disabled(offer_of("", CPU))["gpu"] == "This machine has no GPU."


def test_a_small_machine_makes_the_small_preset_smaller():
    offer = offer_of("", PartitionInfo("local", nodes=1, cpus=1, memory=GB, default=True))
    assert offer.check({}).memory == GB


@pytest.mark.parametrize(
    ("preset", "partitions", "reason"),
    [
        ("partition = 'gpu'", (CPU, DOWN), "The partition gpu is down."),
        ("partition = 'gpu'", (CPU,), "The partition gpu does not exist."),
        ("gpus = 1", (CPU, DOWN), "The partition gpu is down."),
        ("gpus = 1", (CPU,), "There is no GPU."),
        ("gpus = 8", (CPU, GPU), "GPUs: at most 4 on gpu."),
        ("cpus = 17\npartition = 'cpu'", (CPU, GPU), "CPUs: at most 16 on cpu."),
        ("gpus = 3\ngpu_type = 'l40'", (GPU,), "GPUs: at most 2 of type l40."),
    ],
)
def test_a_preset_that_cannot_be_had_says_why(preset, partitions, reason):
    offer = offer_of(f"{SLURM}[[presets]]\nname = 'a'\n{preset}\n", *partitions)
    assert disabled(offer) == {"a": reason}


def test_whole_takes_all_that_is_not_named_and_stays_within_the_limits():
    text = "[limits]\nmemory='100G'\n[[presets]]\nname='w'\nwhole=true\npartition='gpu'\ncpus=3\n"
    request = offer_of(SLURM + text, CPU, GPU).check({"preset": "w"})
    assert (request.cpus, request.memory, request.gpus) == (3, 100 * GB, 4)


def test_a_reservation_of_one_preset_is_not_forced_on_others():
    text = "[[presets]]\nname='a'\n[[presets]]\nname='course'\nreservation='monday'\n"
    offer = offer_of(SLURM + text, CPU)
    assert offer.check({"preset": "a"}).reservation == ""
    assert offer.check({"preset": "course"}).reservation == "monday"
    with pytest.raises(Refused):
        offer.check({"reservation": "tuesday"})


def test_an_offer_survives_its_journey_to_the_node():
    offer = offer_of(SLURM + "[environments.a]\npath='/a'\n[environments.b]\npath='/b'\n", CPU, GPU)
    assert Offer.from_json(offer.to_json()).to_json() == offer.to_json()


def test_an_environment_with_setup_runs_in_a_shell_that_gets_the_command_as_arguments():
    site = parse("[environments.t]\npath = '/opt/t'\nsetup = 'module load \"cuda\"'\n")
    command = environments.command(site, Request(environment="t"))
    assert command[:3] == ["/bin/bash", "--login", "-c"]
    assert 'module load "cuda"\n' in command[3] and command[3].endswith('exec "$@"')
    assert command[4:] == ["shopfloor", "/opt/t/bin/shopfloor-singleuser"]


def test_without_setup_no_shell_is_between():
    site = parse("[environments.t]\npath = '/opt/t'\n")
    assert environments.command(site, Request()) == ["/opt/t/bin/shopfloor-singleuser"]


ALICE = Accounts(
    people={
        "alice": (Account("vision", qos=("normal", "short")), Account("astro", default=True)),
        "bob": (Account("climate", qos=("normal",)),),
    },
    reservations=(
        Reservation("course", 0, 9e9, frozenset({"alice"})),
        Reservation("theirs", 0, 9e9, frozenset({"bob"})),
        Reservation("over", 0, 1, frozenset({"alice"})),
    ),
    enforced=True,
)


def choices(person: str, accounts: Accounts) -> dict[str, list[str]]:
    offer = build(parse(SLURM), Description("test", "1", (CPU, GPU)), person, accounts)
    return {
        name: [choice.value for choice in offer.choices.get(name, ())]
        for name in ("account", "qos", "reservation")
    }


def test_only_a_persons_own_projects_classes_and_booked_seats_are_offered():
    assert choices("alice", ALICE) == {
        "account": ["", "astro", "vision"],
        "qos": ["", "normal", "short"],
        "reservation": ["", "course"],
    }
    assert choices("bob", ALICE) == {
        "account": ["climate"],
        "qos": [],
        "reservation": ["", "theirs"],
    }


def test_somebody_elses_project_is_refused_and_an_only_one_is_charged():
    offer = build(parse(SLURM), Description("test", "1", (CPU,)), "bob", ALICE)
    assert offer.check({}).account == "climate"
    with pytest.raises(Refused, match="account: 'vision' is not possible: one of climate"):
        offer.check({"account": "vision"})


def test_whoever_has_no_project_reads_so_where_slurm_enforces_it():
    words = "mallory belongs to no project on this cluster; ask your administrator for one."
    offer = build(parse(SLURM), Description("test", "1", (CPU, GPU)), "mallory", ALICE)
    assert set(disabled(offer).values()) == {words}
    free = build(
        parse(SLURM), Description("test", "1", (CPU,)), "mallory", replace(ALICE, enforced=False)
    )
    assert disabled(free)["small"] == ""


class SilentThenAnswering:
    """A scheduler that does not answer until ``description`` is set; counts how often it was asked."""

    def __init__(self):
        self.description, self.asked = None, 0

    async def describe(self):
        self.asked += 1
        if self.description is None:
            raise Unreachable("slurmctld is away")
        return self.description

    async def accounts(self):
        raise Unreachable("slurmdbd is away")


async def test_offers_never_wait_for_the_scheduler(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(offers.time, "monotonic", lambda: now[0])
    scheduler = SilentThenAnswering()
    kept = Offers(parse(""))
    kept.scheduler = scheduler
    with pytest.raises(Unreachable, match="does not answer at the moment"):
        kept.make("alice")
    await kept._renewal
    scheduler.description = Description("test", "1", (CPU,))
    with pytest.raises(Unreachable):
        kept.make("alice")
    assert scheduler.asked == 1, "it is left in peace for some seconds"
    now[0] += offers.RETRY
    with pytest.raises(Unreachable):
        kept.make("alice")
    await kept._renewal
    assert kept.make("alice").partitions[0].name == "cpu"
    scheduler.description = None
    now[0] += offers.FRESH
    assert kept.make("alice").partitions[0].name == "cpu", "the old one serves meanwhile"
    await kept._renewal
    assert kept.make("alice").partitions[0].name == "cpu"
    assert scheduler.asked == 3


async def test_what_somebody_asks_just_now_is_found_out_anew_once_for_all():
    scheduler = SilentThenAnswering()
    scheduler.description = Description("test", "1", (CPU,))
    kept = Offers(parse(""))
    kept.scheduler = scheduler
    await kept._renew()
    await asyncio.gather(*(kept.since(time.time() - 60, within=5) for _ in range(5)))
    assert scheduler.asked == 1
    scheduler.description = Description("test", "2", (CPU,))
    found = await asyncio.gather(*(kept.since(time.time(), within=5) for _ in range(5)))
    assert {known.description.version for known in found} == {"2"}
    assert scheduler.asked == 2


async def test_a_scheduler_that_is_silent_then_holds_nobody_up():
    scheduler = SilentThenAnswering()
    scheduler.description = Description("test", "1", (CPU,))
    kept = Offers(parse(""))
    kept.scheduler = scheduler
    await kept._renew()
    scheduler.describe = asyncio.Event().wait  # never answers
    assert (await kept.since(time.time(), within=0.02)).description.version == "1"
    kept._renewal.cancel()
