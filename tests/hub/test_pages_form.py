"""The start form as HTML: held against the table of fields, the offer, and what the spawner makes of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shopfloor_hub import form
from shopfloor_jobs.fields import Refused
from shopfloor_jobs.offer import CHOSEN, LIMITED, Choice, Offer, Partition, Preset
from shopfloor_jobs.request import FIELDS
from shopfloor_spawners.options import options_from_form

from tests.hub.pages_html import Page

GB = 1024**3
HOUR = 3600


@pytest.fixture
def offer() -> Offer:
    """An offer in which everything can be chosen, and one preset cannot be had."""
    return Offer(
        person="alice",
        site="Test",
        scheduler={"type": "local"},
        partitions=(
            Partition("cpu", "CPU nodes", {"cpus": 8, "memory": 32 * GB, "gpus": 0, "nodes": 4}),
            Partition(
                "gpu",
                "GPU nodes",
                {"cpus": 16, "memory": 64 * GB, "gpus": 4, "nodes": 2},
                {"a100": 4, "l40": 2},
            ),
        ),
        presets=(
            Preset("small-cpu", "Small CPU", {"cpus": 1, "memory": 2 * GB, "time": 2 * HOUR}),
            Preset("one-gpu", "One GPU", {"cpus": 4, "gpus": 1, "gpu_type": "a100"}),
            Preset("whole-node", "Whole node", {"cpus": 16, "gpus": 4}, "All seats are booked."),
        ),
        limits={"time": 24 * HOUR, "nodes": 3},
        choices={
            "account": (Choice("bio", "Biology"), Choice("phys")),
            "qos": (Choice("normal"), Choice("long")),
            "reservation": (Choice("course"),),
            "environment": (Choice("ai", "Python with PyTorch"),),
        },
    )


def page(offer: Offer, *args, **kwargs) -> Page:
    return Page(form.render(offer, *args, **kwargs))


@pytest.mark.parametrize("name", LIMITED)
def test_each_number_is_in_the_form_with_its_limits_in_its_label(name, offer):
    shown = page(offer)
    row = FIELDS[name]
    label = shown.label(shown.one("input", name=name))
    assert label.startswith(row.label)
    assert row.show(row.minimum) in label
    assert row.show(offer.largest(name)) in label


@pytest.mark.parametrize("name", CHOSEN)
def test_each_choice_is_in_the_form_with_what_may_be_chosen(name, offer):
    shown = page(offer)
    select = shown.one("select", name=name)
    assert shown.label(select) == FIELDS[name].label
    values = [option["value"] for option in select.inside]
    allowed = [choice["value"] for choice in offer.to_json()["choices"][name]]
    assert values == (["", *allowed] if len(allowed) > 1 else allowed)


@pytest.mark.parametrize("name", FIELDS)
def test_each_field_says_what_it_is_and_what_slurm_calls_it(name, offer):
    shown = page(offer)
    element = shown.one("input" if name in LIMITED else "select", name=name)
    described = shown.one("p", id=element["aria-describedby"])
    assert FIELDS[name].term in described.text
    assert FIELDS[name].help in " ".join(described.text.split())


def test_what_leaves_nothing_to_choose_is_not_shown(offer):
    narrow = replace(
        offer,
        partitions=(Partition("cpu", "", {"cpus": 4, "memory": 8 * GB, "gpus": 0, "nodes": 1}),),
        choices={},
    )
    assert form.shown(narrow) == ["cpus", "memory", "time", "partition"]
    shown = page(narrow)
    assert not shown.all("input", name="gpus") and not shown.all("select", name="account")


def test_the_default_preset_is_chosen_and_each_has_its_name_and_hardware(offer):
    shown = page(offer)
    radios = shown.all("input", type="radio")
    assert [shown.label(radio) for radio in radios] == [
        "Small CPU",
        "One GPU",
        "Whole node",
        "Custom",
    ]
    assert ["checked" in radio for radio in radios] == [True, False, False, False]
    assert "1 CPU, 2 GB for 2 h" in shown.one("p", id=radios[0]["aria-describedby"]).text


@pytest.mark.parametrize("prefill", [{}, {"preset": "whole-node"}])
def test_a_preset_that_cannot_be_had_says_why_and_cannot_be_chosen(offer, prefill):
    shown = page(offer, prefill)
    radio = shown.one("input", value="whole-node")
    assert "disabled" in radio and "checked" not in radio
    reason = radio["aria-describedby"].split()[-1]
    assert shown.one("p", id=reason).text == "All seats are booked."


def test_with_no_preset_to_be_had_the_fields_unfold(offer):
    none = replace(offer, presets=tuple(replace(one, disabled="No.") for one in offer.presets))
    assert page(none).submitted()["preset"] == ["custom"]


@pytest.mark.parametrize("preset", ["small-cpu", "one-gpu", "custom"])
def test_what_the_form_sends_untouched_and_without_scripts_can_be_had(offer, preset):
    sent = page(offer, {"preset": preset}).submitted()
    assert sent["preset"] == [preset]
    request = offer.check(options_from_form(sent))
    assert request.gpus == (1 if preset == "one-gpu" else 0)


def test_a_link_with_a_field_unfolds_the_fields_and_fills_it_in(offer):
    sent = page(offer, {"preset": "one-gpu", "time": "90m"}).submitted()
    assert sent["preset"] == ["custom"]
    assert sent["time"] == ["90m"]
    assert sent["gpus"] == ["1"]


def test_a_refusal_stands_beside_its_field_with_what_was_typed(offer):
    prefill = {"preset": "custom", "memory": "900G"}
    with pytest.raises(Refused) as refused:
        offer.check({"memory": "900G"})
    shown = page(offer, prefill, refused.value)
    memory = shown.one("input", name="memory")
    assert memory["value"] == "900G"
    assert memory["aria-invalid"] == "true"
    assert shown.one("p", id="refusal-memory").text == refused.value.limit
    assert "refusal-memory" in memory["aria-describedby"].split()
    assert not shown.all("p", id="refusal-cpus")


def test_hostile_words_stay_words(offer):
    hostile = '"><script>alert(1)</script>'
    offer = replace(
        offer,
        presets=(Preset("p", hostile, {}, hostile),),
        partitions=(Partition("cpu", hostile, {"cpus": 4}),),
        choices={"account": (Choice("a", hostile), Choice("b"))},
    )
    refusal = Refused("cpus", hostile, hostile)
    prefill = {"preset": hostile, "cpus": hostile, "account": hostile}
    shown = page(offer, prefill, refusal)
    assert not shown.all("script")
    assert shown.one("input", name="cpus")["value"] == hostile
    assert shown.one("input", value="p").attributes.keys() == page_radio_attributes()
    assert hostile in shown.text


def page_radio_attributes() -> set[str]:
    return {
        "type", "name", "id", "value", "data-values", "data-sentence", "aria-describedby", "disabled",
    }  # fmt: skip


def test_a_very_long_value_is_not_sent_back(offer):
    assert len(form.render(offer, {"cpus": "9" * 1_000_000})) < 100_000


@given(st.integers(64 * 1024**2, 2**50))
def test_bytes_that_are_filled_in_are_read_back_unchanged(value):
    row = FIELDS["memory"]
    assert row.parse(form.editable(row, value)) == value


@given(st.integers(60, 400 * 86400))
def test_seconds_that_are_filled_in_are_read_back_unchanged(value):
    row = FIELDS["time"]
    assert row.parse(form.editable(row, value)) == value


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("memory", 4 * GB, "4 GB"),
        ("memory", 1536 * 1024**2, "1536 MB"),
        ("time", 90 * 60, "90 min"),
        ("time", 24 * HOUR, "24 h"),
        ("time", 7 * 24 * HOUR, "7 days"),
        ("cpus", 3, "3"),
        ("gpu_type", "a100", "a100"),
    ],
)
def test_values_are_filled_in_as_a_person_would_write_them(name, value, text):
    assert form.editable(FIELDS[name], value) == text
