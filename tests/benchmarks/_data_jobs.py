"""The two jobs of data.py, each with the answer that one process gives: h2o's groupby, and a table that must spill.

The groupby is the basic part of db-benchmark (h2oai.github.io/db-benchmark, groupby-datagen.R: N rows, K groups, none
missing, not sorted), whose names are kept. The reference goes through the files, or the partitions, one at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import dask.dataframe as dd
import numpy as np
import pandas as pd
from distributed import Client, futures_of, wait
from pandas.testing import assert_frame_equal

SEED = 20131
GB = 1000**3
EXACT = 1e-9  # relative: sums of floats are added in another order


class Differs(Exception):
    """A cluster's answer is not the reference's."""


@dataclass(frozen=True)
class Question:
    """One of h2o's: group by ``keys``, and aggregate columns (pandas' words)."""

    keys: tuple[str, ...]
    asked: Mapping[str, str]


# Sum and count make a mean; the seventh is the range of two columns.
QUESTIONS = {
    "q1": Question(("id1",), {"v1": "sum"}),
    "q2": Question(("id1", "id2"), {"v1": "sum"}),
    "q3": Question(("id3",), {"v1": "sum", "v3": "mean"}),
    "q4": Question(("id4",), {"v1": "mean", "v2": "mean", "v3": "mean"}),
    "q5": Question(("id6",), {"v1": "sum", "v2": "sum", "v3": "sum"}),
    "q7": Question(("id3",), {"v1": "max", "v2": "min"}),
}


def generate(folder: Path, rows: int, groups: int, files: int) -> None:
    """Write the table: ``rows`` in so many Parquet files, with ``groups`` values in the small keys."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(SEED)
    few = np.array([f"id{number:03d}" for number in range(1, groups + 1)])
    many = np.array([f"id{number:010d}" for number in range(1, rows // groups + 1)])
    for number, count in enumerate(_shares(rows, files)):
        table = pd.DataFrame(
            {
                "id1": few[random.integers(groups, size=count)],
                "id2": few[random.integers(groups, size=count)],
                "id3": many[random.integers(len(many), size=count)],
                "id4": random.integers(1, groups + 1, size=count),
                "id5": random.integers(1, groups + 1, size=count),
                "id6": random.integers(1, len(many) + 1, size=count),
                "v1": random.integers(1, 6, size=count),
                "v2": random.integers(1, 16, size=count),
                "v3": random.uniform(0, 100, size=count).round(6),
            }
        )
        table.to_parquet(folder / f"part-{number:03}.parquet", index=False)


def groupby_reference(folder: Path) -> dict[str, pd.DataFrame]:
    """The answers of pandas, file by file: no file's rows are kept, only sums, counts and extremes."""
    partial: dict[str, list[pd.DataFrame]] = {name: [] for name in QUESTIONS}
    for file in sorted(folder.glob("*.parquet")):
        table = pd.read_parquet(file)
        for name, question in QUESTIONS.items():
            groups = table.groupby(list(question.keys))
            columns = {
                f"{column} {how}": groups[column].agg(how)
                for column, asked in question.asked.items()
                for how in _pieces_of(asked)
            }
            partial[name].append(pd.DataFrame(columns))
    return {name: _together(QUESTIONS[name], pieces) for name, pieces in partial.items()}


def groupby(client: Client, folder: Path) -> dict[str, pd.DataFrame]:
    """The answers of the cluster, one question after the other, each from the files."""
    answers = {}
    for name, question in QUESTIONS.items():
        table = dd.read_parquet(folder, columns=[*question.keys, *question.asked])
        asked = table.groupby(list(question.keys)).agg(dict(question.asked))
        answers[name] = client.compute(asked).result()
    return answers


@dataclass(frozen=True)
class Wide:
    """A table of ``partitions`` with ``rows`` each that is made on the workers: a key and seven numbers."""

    partitions: int
    rows: int = 1_000_000

    @property
    def bytes(self) -> int:
        return self.partitions * self.rows * 8 * 8


def wide_of(size: float) -> Wide:
    """At least so many bytes."""
    return Wide(partitions=-int(-size // Wide(1).bytes))


def part(number: int, rows: int) -> pd.DataFrame:
    """One partition, the same wherever it is made."""
    random = np.random.default_rng([SEED, number])
    table = pd.DataFrame(random.random((rows, 7)), columns=[f"x{n}" for n in range(7)])
    return table.assign(key=random.integers(0, 1000, size=rows))


def spill(client: Client, wide: Wide) -> tuple[dict[str, pd.DataFrame], int]:
    """Keep the table on the workers, ask twice for all of it, and let it go; also the bytes that were on disk.

    The second question needs the answer of the first, so that the table cannot be dropped piece by piece.
    """
    table = dd.from_map(part, range(wide.partitions), rows=wide.rows, meta=part(0, 1))
    table = client.persist(table)
    wait(table)
    for future in futures_of(table):
        if future.status == "error":
            future.result()
    on_disk = client.run_on_scheduler(lambda dask_scheduler: dask_scheduler.memory.spilled)
    means = client.compute(table.groupby("key").mean()).result()
    squares = table.map_partitions(_squares, means, meta=part(0, 1)).groupby("key").sum()
    return {"means": means, "squares": client.compute(squares).result()}, on_disk


def spill_reference(wide: Wide) -> dict[str, pd.DataFrame]:
    """The same in one process that holds one partition at a time."""
    sums = counts = None
    for number in range(wide.partitions):
        groups = part(number, wide.rows).groupby("key")
        sums = groups.sum() if sums is None else sums.add(groups.sum(), fill_value=0)
        counts = groups.count() if counts is None else counts.add(groups.count(), fill_value=0)
    means, squares = sums / counts, None
    for number in range(wide.partitions):
        found = _squares(part(number, wide.rows), means).groupby("key").sum()
        squares = found if squares is None else squares.add(found, fill_value=0)
    return {"means": means, "squares": squares}


def check(found: Mapping[str, pd.DataFrame], reference: Mapping[str, pd.DataFrame]) -> None:
    """Raises Differs where an answer is not the reference's; rows may come in any order."""
    for name, expected in reference.items():
        answer = found[name].sort_index()[list(expected.columns)]
        try:
            assert_frame_equal(
                answer,
                expected.sort_index(),
                check_dtype=False,
                check_index_type=False,
                check_column_type=False,
                rtol=EXACT,
            )
        except AssertionError as error:
            raise Differs(f"{name}: {error}") from error


def _squares(table: pd.DataFrame, means: pd.DataFrame) -> pd.DataFrame:
    """Squared distances from the mean of a row's key."""
    numbers = table.drop(columns="key")
    away = numbers - means.loc[table.key, numbers.columns].to_numpy()
    return (away**2).assign(key=table.key)


def _pieces_of(asked: str) -> tuple[str, ...]:
    """What is kept of each file, so that the whole can be made of it."""
    return ("sum", "count") if asked == "mean" else (asked,)


def _together(question: Question, pieces: Iterable[pd.DataFrame]) -> pd.DataFrame:
    whole = pd.concat(pieces).groupby(level=list(question.keys))
    found = {}
    for column, asked in question.asked.items():
        parts = [
            whole[f"{column} {how}"].agg("sum" if how == "count" else how)
            for how in _pieces_of(asked)
        ]
        found[column] = parts[0] / parts[1] if asked == "mean" else parts[0]
    return pd.DataFrame(found)


def _shares(rows: int, files: int) -> list[int]:
    return [rows // files + (number < rows % files) for number in range(files)]
