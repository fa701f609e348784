"""The example notebooks, run top to bottom on a cluster as the panel starts it, against reference.py's figures."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.lab.cluster_parts import GB, Person
from tests.lab.reference import BOOSTING_TOLERANCE, large, reference

EXAMPLES = Path(__file__).parents[2] / "extensions" / "shopfloor_lab" / "examples"
PREPARE, TRAIN = "01-prepare-data-at-scale.ipynb", "02-train-on-it.ipynb"
LARGE = "03-larger-than-memory.ipynb"
NOTEBOOKS = (PREPARE, TRAIN, LARGE)
TOO_LARGE_MB = 2200  # for the two workers of 1 GB below


def _run(folder: Path, name: str, size: int | None = None) -> nbformat.NotebookNode:
    """The notebook, executed; with a ``size`` in MB as if somebody had moved the slider to it."""
    notebook = nbformat.read(EXAMPLES / name, as_version=4)
    if size is not None:
        [slider] = [at for at, cell in enumerate(notebook.cells) if "IntSlider(" in cell.source]
        notebook.cells.insert(slider + 1, nbformat.v4.new_code_cell(f"size.value = {size}"))
    run = NotebookClient(
        notebook, timeout=240, kernel_name="python3", resources={"metadata": {"path": folder}}
    )
    return run.execute()


def _summary(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "data" / "summary.json").read_text())


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("examples")
    person = Person(folder / "state")
    request = {"memory": GB, "cpus": 1, "time": 3600}
    try:
        asyncio.run(person.start(person.lab(), 2, request=request))
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("HOME", str(person.home))  # where a notebook finds the cluster by itself
            patch.setenv("SHOPFLOOR_DATA", str(folder / "data"))
            notebooks = {name: _run(folder, name) for name in NOTEBOOKS}
            yield {
                "data": folder / "data",
                "notebooks": notebooks,
                "summary": _summary(folder),
                "again": lambda name, size: (_run(folder, name, size), _summary(folder)),
            }
    finally:
        asyncio.run(person.scheduler.stop_all())


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    return reference()


def test_row_counts_and_missing_values_equal_those_of_pandas(executed, expected):
    assert executed["summary"]["prepare"] == expected["prepare"]
    assert expected["prepare"]["rows"]["flights"] == 336_776


def test_the_three_parts_have_the_sizes_that_pandas_counts(executed, expected):
    assert executed["summary"]["train"]["rows"] == expected["train"]["rows"]


@pytest.mark.parametrize("model", ["average", "median", "linear"])
def test_exact_models_have_the_error_of_one_process(executed, expected, model):
    found = executed["summary"]["train"]["test_errors"][model]
    assert found == pytest.approx(expected["train"]["test_errors"][model], rel=1e-6)


def test_boosting_on_the_cluster_is_as_good_as_in_one_process(executed, expected):
    found = executed["summary"]["train"]["test_errors"]["boosting"]
    assert found == pytest.approx(
        expected["train"]["test_errors"]["boosting"], rel=BOOSTING_TOLERANCE
    )


def test_boosting_beats_linear_and_linear_beats_the_average(executed):
    rmse = {
        name: error["rmse"] for name, error in executed["summary"]["train"]["test_errors"].items()
    }
    assert rmse["boosting"] < rmse["linear"] < rmse["average"]


def test_nothing_known_only_after_departure_reaches_the_model(executed):
    features = json.loads((executed["data"] / "features.json").read_text())
    columns = {*features["numbers"], *features["categories"]}
    assert not columns & {"dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"}
    assert not {name for name in columns if "delay" in name}


def test_a_notebook_says_no_error_and_shows_its_plots(executed):
    for name, plots in ((PREPARE, 2), (TRAIN, 3), (LARGE, 1)):
        outputs = [o for cell in executed["notebooks"][name].cells for o in cell.get("outputs", [])]
        assert not [o for o in outputs if o.output_type == "error"]
        assert sum("image/png" in o.get("data", {}) for o in outputs) >= plots


def _bars(notebook: nbformat.NotebookNode) -> dict[str, dict[str, Any]]:
    """The progress bars as a person sees them at the end, by what they stand for."""
    widgets = notebook.metadata.widgets["application/vnd.jupyter.widget-state+json"]["state"]
    states = [one["state"] for one in widgets.values() if one["model_name"] == "IntProgressModel"]
    return {state["description"]: state for state in states}


@pytest.mark.parametrize(
    ("name", "titles"),
    [(PREPARE, {"Preparing"}), (TRAIN, {"Searching"}), (LARGE, {"Reading", "Grouping", "Joining"})],
)
def test_long_work_has_a_bar_that_was_filled(executed, name: str, titles: set[str]):
    bars = _bars(executed["notebooks"][name])
    assert set(bars) == titles
    for bar in bars.values():
        assert (bar["bar_style"], bar["value"]) == ("success", bar["max"])


def test_the_search_gives_most_tries_up_early_and_finds_as_good_a_model(executed):
    search, train = executed["summary"]["search"], executed["summary"]["train"]
    trees = [one["trees"] for one in search["tries"]]
    assert len(trees) == 12 and trees.count(25) == 8
    assert max(trees) > 75 and search["trees"] <= max(trees) <= 400
    # The best one was trained until it stopped by itself, or to the end.
    [last] = [one for one in search["tries"] if one["settings"] == search["best"]]
    assert last["stopped"] or last["trees"] == 400
    assert search["check_rmse"] == min(one["rmse"] for one in search["tries"])
    assert search["check_rmse"] < search["check_rmse_by_hand"] * (1 + BOOSTING_TOLERANCE)
    assert search["test_errors"]["rmse"] < train["test_errors"]["linear"]["rmse"]


def test_the_slider_stands_at_300_mb_and_the_join_of_large_tables_says_what_pandas_says(executed):
    found = dict(executed["summary"]["large"])
    found.pop("spilled_mb")
    assert found == _expected_of(found["years"])
    assert found["years"] * 62.7 == pytest.approx(300, abs=32)


def test_a_table_larger_than_memory_is_spilled_and_the_answer_is_the_same(executed):
    for _ in range(2):  # on what the other notebooks left in the workers, and on what this one did
        notebook, summary = executed["again"](LARGE, TOO_LARGE_MB)
        found = summary["large"]
        assert found.pop("spilled_mb") > max(700, executed["summary"]["large"]["spilled_mb"])
        assert found["years"] * 62.7 == pytest.approx(TOO_LARGE_MB, abs=32)
        assert found == _expected_of(found["years"])
        assert {bar["bar_style"] for bar in _bars(notebook).values()} == {"success"}


def _expected_of(years: int) -> dict[str, Any]:
    """What the summary has to say of so many copies of the one year, to the last digits that sums can differ in."""
    one = large()
    steps = {
        name: {"mean": pytest.approx(step["mean"], rel=1e-9), "size": years * step["size"]}
        for name, step in one["steps"].items()
    }
    counts = {name: years * one[name] for name in ("flights", "days")}
    return {"years": years, **counts, "steps": steps}


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_is_kept_clean(name):
    notebook = nbformat.read(EXAMPLES / name, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert notebook.metadata.kernelspec.name == "python3"
    assert not any(cell.outputs or cell.execution_count for cell in code)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_every_code_cell_is_introduced_in_words(name):
    kinds = [cell.cell_type for cell in nbformat.read(EXAMPLES / name, as_version=4).cells]
    assert all(before == "markdown" for before, kind in pairwise(kinds) if kind == "code")
