"""``make faults STOCK=1``: the fault table on stock batchspawner, to tell which rows need a guard; prints the table.

Each play has a hub of its own on one cluster, and a deadline; results lie in ``.faults/`` and are gone on from.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import requests

from tests.cluster import requirements
from tests.cluster.cluster import Cluster
from tests.cluster.errors import ClusterError
from tests.faults.case import SHORT
from tests.faults.results import is_chosen, read, results_file, write
from tests.harness import wait_until
from tests.software import ensure_software
from tests.stock.hub import StockHub, remove_logs

from . import plays_hub, plays_slurm  # noqa: F401 - they gather the plays
from .case import JOB_NAME, Stage, Stock
from .play import PLAYS, Play

SOURCES = ("tests/faults/*.py", "tests/stock/*.py", "tests/cluster/*.py", "tests/harness.py")
NOT_TO_BE_PLAYED = (
    AssertionError,
    ClusterError,
    OSError,
    requests.RequestException,
    subprocess.SubprocessError,
)
WORDS = {True: "yes", False: "**no**", None: "-"}


class TooLong(Exception):
    """The play's time is over."""


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Whatever waits is interrupted with TooLong when the time is over; in the main thread only."""

    def over(number: int, frame: object) -> None:
        raise TooLong(f"not played within {seconds:g} s")

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def perform(stage: Stage, play: Play) -> dict[str, Any]:
    """One play, with everything of it removed afterwards; its result."""
    hub = stage.hub(play.beside)
    stock, trouble, began = Stock(stage, hub), "", time.monotonic()
    try:
        with deadline(play.seconds):
            hub.start()
            play.act(stock)
    except (*NOT_TO_BE_PLAYED, TooLong) as error:
        trouble = f"{type(error).__name__}: {error}"
        log = hub.log.read_text()[-3000:] if hub.log.exists() else ""
        print(f"{trouble}\n{log}", file=sys.stderr)
    finally:
        clear(stage, hub)
    seconds = round(time.monotonic() - began)
    verdict = asdict(stock.verdict)
    return {"row": play.row, "what": play.what, "trouble": trouble, "seconds": seconds, **verdict}


def clear(stage: Stage, hub: StockHub) -> None:
    """End the hub at once, and whatever its people still have on the cluster."""
    hub.end()
    stage.cluster.run(["scancel", f"--name={JOB_NAME}"])
    listing = ["squeue", "--all", "--noheader", f"--name={JOB_NAME}"]
    wait_until(lambda: not stage.cluster.run(listing, check=True).stdout, 60, "no job is left", 0.3)
    shutil.rmtree(stage.commands.directory / "orders", ignore_errors=True)
    hub.remove()


def line(result: dict[str, Any]) -> str:
    """A row of the table, in Markdown."""
    seen = "; ".join(result["seen"])
    if result["trouble"]:
        seen = f"not played to the end: {result['trouble'].splitlines()[0]}; {seen}"
    seen = seen.replace("|", "/").replace("\n", " ")
    agree, told = WORDS[result["agree"]], WORDS[result["told"]]
    return f"| {result['row']} | {result['what']} | {agree} | {told} | {seen} |"


def table(results: Sequence[dict[str, Any]]) -> str:
    """All results in the order of the plays, and which of them stock passes."""
    order = {(play.row, play.what): number for number, play in enumerate(ordered())}
    known = [one for one in results if (one["row"], one["what"]) in order]
    known.sort(key=lambda one: order[one["row"], one["what"]])
    head = ["| row | fault | jobs agree | told why | seen |", "|---|---|---|---|---|"]
    passed = [f"{one['row']} ({one['what']})" for one in known if passes(one)]
    return "\n".join(
        [*head, *map(line, known), "", f"Stock passes: {', '.join(passed) or 'none'}."]
    )


def passes(result: dict[str, Any]) -> bool:
    """Whether nothing was judged bad, and something good."""
    judged = [result["agree"], result["told"]]
    return not result["trouble"] and True in judged and False not in judged


def ordered() -> list[Play]:
    """All plays in the table's order."""
    return sorted(PLAYS, key=lambda play: play.row)


def versions(prefix: Path) -> str:
    """What was tried, in words."""
    names = ("jupyterhub", "batchspawner")
    script = (
        f"import importlib.metadata as m, json; print(json.dumps([m.version(n) for n in {names}]))"
    )
    said = subprocess.run(
        [prefix / "bin" / "python", "-c", script], capture_output=True, text=True, check=True
    ).stdout
    slurm = subprocess.run(["slurmctld", "-V"], capture_output=True, text=True, check=True)
    pairs = zip(names, json.loads(said), strict=True)
    return ", ".join([*map(" ".join, pairs), slurm.stdout.strip()])


def main() -> int:
    only = os.environ.get("ONLY") or ""
    if os.environ.get("TIMES"):
        print("faults: TIMES is not possible with STOCK: there, each row is played once")
        return 2
    file = results_file("stock", bool(os.environ.get("FRESH")), SOURCES)
    chosen = [play for play in ordered() if is_chosen(play.row, play.what, only)]
    if not chosen:
        print(f"faults: no row is meant by ONLY={only}")
        return 2
    done = {(one["row"], one["what"]) for one in read(file) if not one["trouble"]}
    wanted = [play for play in chosen if (play.row, play.what) not in done]
    try:
        requirements.check()
        prefix = ensure_software()
        if wanted:
            with Cluster(settings=SHORT) as cluster:
                stage = Stage(cluster, prefix)
                for play in wanted:
                    result = perform(stage, play)
                    write(file, result)
                    print(f"{line(result)} {result['seconds']} s", flush=True)
                remove_logs()
    except ClusterError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("faults: cut off; the same command goes on from here")
        return 1
    latest = {(one["row"], one["what"]): one for one in read(file)}
    print(f"\n{versions(prefix)}\n\n{table(list(latest.values()))}")
    played = [latest.get((play.row, play.what)) for play in chosen]
    return 0 if all(one and not one["trouble"] for one in played) else 1


if __name__ == "__main__":
    sys.exit(main())
