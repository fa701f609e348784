"""The kinds of value: how each is read, refused and told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shopfloor_jobs.fields import Refused, shorten, show_bytes, show_seconds
from shopfloor_jobs.request import FIELDS, Request, parse_fields

from tests.jobs.values import JSON, OPTIONS

KB, MB, GB, TB = (1024**power for power in (1, 2, 3, 4))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("4G", 4 * GB),
        ("4g", 4 * GB),
        ("4 GB", 4 * GB),
        ("4GiB", 4 * GB),
        ("1.5G", 3 * GB // 2),
        ("512M", 512 * MB),
        ("70000K", 70000 * KB),
        ("1T", TB),
        ("  1073741824 ", GB),
        (GB, GB),
        (float(GB), GB),
    ],
)
def test_sizes_are_read(text: Any, number: int):
    assert FIELDS["memory"].parse(text) == number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("2h", 7200),
        ("2 hours", 7200),
        ("90m", 5400),
        ("90 min", 5400),
        ("120s", 120),
        ("1.5h", 5400),
        ("2 days", 172800),
        ("1:30", 5400),
        ("1:30:15", 5415),
        ("1-00:00:00", 86400),
        ("2-12:00", 216000),
        ("1 h 30 min", 5400),
        ("1d 2h", 93600),
        ("600", 600),
    ],
)
def test_times_are_read(text: str, number: int):
    assert FIELDS["time"].parse(text) == number


@pytest.mark.parametrize(
    ("name", "value", "limit"),
    [
        ("cpus", 0, "at least 1"),
        ("cpus", "2.5", "a whole number"),
        ("cpus", 2.5, "a whole number"),
        ("cpus", True, "a whole number"),
        ("cpus", None, "a whole number"),
        ("cpus", "", "a whole number"),
        ("cpus", "٣", "a whole number"),
        ("cpus", "1_000", "a whole number"),
        ("cpus", [1], "a whole number"),
        ("gpus", -1, "at least 0"),
        ("memory", "1M", "at least 64 MB"),
        ("memory", "4 parsecs", "a size such as 4G or 512M"),
        ("memory", "999999999T", "a number of at most 18 digits"),
        ("memory", float("inf"), "a size such as 4G or 512M"),
        ("memory", 1e300, "a number of at most 18 digits"),
        ("time", "30s", "at least 1 min"),
        ("time", "1:60", "a time such as 2h, 90m or 1-00:00:00"),
        ("time", "2h\n#SBATCH --gpus=8", "a time such as 2h, 90m or 1-00:00:00"),
        ("time", "2h 2h", "a time such as 2h, 90m or 1-00:00:00"),
        ("time", "2m 2h", "a time such as 2h, 90m or 1-00:00:00"),
        ("partition", "gpu,cpu", "a name of up to 64"),
        ("partition", "-gpu", "a name of up to 64"),
        ("partition", "gpu\n", "a name of up to 64"),
        ("partition", 7, "a name of up to 64"),
    ],
)
def test_what_is_refused_names_field_value_and_limit(name: str, value: Any, limit: str):
    with pytest.raises(Refused) as refusal:
        FIELDS[name].parse(value)
    assert refusal.value.field == name
    assert limit in refusal.value.limit
    assert str(refusal.value).startswith(f"{name}: {shorten(value)} is not possible: ")


def test_an_unknown_field_names_the_nearest_known_one():
    with pytest.raises(Refused, match=r"memroy: '4G' .*, did you mean 'memory'\?"):
        parse_fields({"memroy": "4G"})


@pytest.mark.parametrize("name", FIELDS)
@given(value=JSON)
def test_any_value_is_read_or_refused(name: str, value: Any):
    field = FIELDS[name]
    try:
        parsed = field.parse(value)
    except Refused as refusal:
        assert_fit_to_show(refusal, name)
        return
    if field.type == "choice":
        assert isinstance(parsed, str) and len(parsed) <= 64 and parsed.isprintable()
    else:
        assert type(parsed) is int and field.minimum <= parsed < 2**63
    assert field.parse(parsed) == parsed


@given(OPTIONS)
def test_any_options_are_read_or_refused(options: dict[str, Any]):
    try:
        parsed = parse_fields(options)
    except Refused as refusal:
        assert_fit_to_show(refusal, None)
        return
    assert Request.from_json(Request(**parsed).to_json()) == Request(**parsed)


def assert_fit_to_show(refusal: Refused, name: str | None) -> None:
    text = str(refusal)
    assert name is None or refusal.field == name
    assert text.isprintable(), text
    assert len(text) < 300
    json.dumps(refusal.to_json()).encode()


def test_a_value_nested_beyond_reason_is_refused():
    value: Any = []
    for _ in range(20_000):
        value = [value]
    with pytest.raises(Refused):
        FIELDS["cpus"].parse(value)


@given(st.integers(1, 1023), st.sampled_from([MB, GB, TB]))
def test_whole_sizes_are_read_back_as_they_are_told(number: int, unit: int):
    value = max(number * unit, FIELDS["memory"].minimum)
    assert FIELDS["memory"].parse(show_bytes(value)) == value


@given(st.integers(1, 60 * 24 * 365))
def test_whole_minutes_are_read_back_as_they_are_told(minutes: int):
    assert FIELDS["time"].parse(show_seconds(minutes * 60)) == minutes * 60


@given(st.integers(0, 2**62))
def test_a_size_is_told_within_a_twentieth(value: int):
    told = FIELDS["memory"].show(value)
    number, unit = told.split()
    scale = {"bytes": 1, "KB": KB, "MB": MB, "GB": GB, "TB": TB}[unit]
    assert float(number) * scale == pytest.approx(value, rel=0.05)


def test_every_field_is_told_by_its_json_alone():
    for field in FIELDS.values():
        data = json.loads(json.dumps(field.to_json()))
        assert data["label"] and data["term"] and data["help"].endswith(".")
        assert field.parse(data["default"]) == data["default"]
