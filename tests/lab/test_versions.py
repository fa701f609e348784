"""What different versions mean for notebook and cluster: which are read across, which are not, and what is missing."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shopfloor_lab.clusters.versions import (
    NEEDED,
    PACKAGES,
    differences,
    missing,
    too_old,
    versions_here,
)

SAME = {"python": "3.11.2", **dict.fromkeys(PACKAGES, "2.4.6")}
NUMBERS = st.lists(st.integers(0, 40), min_size=1, max_size=4)
VERSION = st.one_of(
    NUMBERS.map(lambda parts: ".".join(map(str, parts))),
    st.sampled_from(["2026.8.0", "2026.8.1", "3.1.2", "3.1.2.dev4+gabc", "3.2rc1", "unknown", ""]),
    st.text("0123456789.+-ab", max_size=8),
)
ENVIRONMENT = st.dictionaries(st.sampled_from(["python", *PACKAGES, "toolz"]), VERSION)


@pytest.mark.parametrize(
    ("package", "there", "unreadable"),
    [
        ("dask", "2.4.7", True),
        ("distributed", "2.4.7", True),
        ("distributed", "", True),
        ("python", "3.12.2", True),
        ("python", "3.11.9", None),
        ("cloudpickle", "2.5.6", True),
        ("cloudpickle", "2.4.7", False),
        ("cloudpickle", "", True),
        ("numpy", "1.26.4", False),
        ("pandas", "2.4.7", False),
        ("pandas", "2.4.6rc1", False),
        ("pandas", "2.4.6.0", None),
        ("pandas", "", False),
        ("pyarrow", "26.0.1", False),
        ("toolz", "9", None),
    ],
)
def test_a_difference_is_unreadable_or_only_worth_a_note_or_none(
    package: str, there: str, unreadable: bool | None
) -> None:
    found = differences(SAME, {**SAME, package: there})
    if unreadable is None:
        assert found == []
        return
    (one,) = found
    assert (one.package, one.there, one.unreadable) == (package, there, unreadable)
    said = one.words("in the notebook", "on the workers")
    assert SAME[package] in said and (there or "not installed") in said
    assert said.startswith("Python: " if package == "python" else f"{package}: ")


def test_what_only_the_cluster_has_is_no_difference() -> None:
    notebook = {name: version for name, version in SAME.items() if name != "pandas"}
    assert differences(notebook, SAME) == []


@given(ENVIRONMENT)
def test_an_environment_differs_from_itself_in_nothing(environment: dict[str, str]) -> None:
    assert differences(environment, environment) == []


@given(ENVIRONMENT, ENVIRONMENT)
def test_differences_are_of_known_packages_the_unreadable_first_and_the_same_both_ways(
    one: dict[str, str], other: dict[str, str]
) -> None:
    found = differences(one, other)
    assert [item.unreadable for item in found] == sorted(
        (item.unreadable for item in found), reverse=True
    )
    assert len({item.package for item in found}) == len(found)
    assert {item.package for item in found} <= {"python", *PACKAGES}
    back = {item.package: item for item in differences(other, one)}
    for item in found:
        assert item.here == one[item.package] != other.get(item.package, "")
        if item.there:
            assert back[item.package].unreadable == item.unreadable


@given(ENVIRONMENT)
def test_another_release_of_dask_is_never_read(environment: dict[str, str]) -> None:
    here = {**environment, "dask": "2026.8.0"}
    (first, *_) = differences(here, {**environment, "dask": "2026.8.1"})
    assert (first.package, first.unreadable) == ("dask", True)


def test_what_this_process_has_is_what_its_packages_say() -> None:
    import distributed
    import pandas

    here = versions_here()
    assert here["python"] == ".".join(map(str, sys.version_info[:3]))
    assert (here["distributed"], here["pandas"]) == (distributed.__version__, pandas.__version__)


def test_what_a_clusters_jobs_need_is_named_where_it_is_missing() -> None:
    assert missing({}) == list(NEEDED)
    assert missing({**dict.fromkeys(NEEDED, "1"), "cryptography": ""}) == ["cryptography"]
    assert missing(dict.fromkeys(NEEDED, "1")) == []


@pytest.mark.parametrize(
    ("python", "old"),
    [
        *((one, True) for one in ("3.8.20", "3.9.0", "2.7.18", "", "what")),
        *((one, False) for one in ("3.10.0", "3.13.1", "4.0")),
    ],
)
def test_a_python_that_our_code_does_not_run_on_is_too_old(python: str, old: bool) -> None:
    assert too_old(python) is old
