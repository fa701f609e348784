"""Which rows ``ONLY`` means, and where results are kept so that a run that was cut goes on; for both mains."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / ".faults"
SOURCES = ("hub_config", "spawners", "extensions/shopfloor_lab", "tests", "pyproject.toml")


def is_chosen(row: int, words: str, only: str) -> bool:
    """Whether a row is meant by ``only``: ``1-6,8``, or a pattern (re) on its words; all are by an empty one."""
    if re.fullmatch(r"[\d,-]+", only):
        spans = (part.partition("-") for part in only.split(",") if part)
        return any(int(low) <= row <= int(high or low) for low, _, high in spans)
    return re.search(only, words) is not None


def results_file(name: str, fresh: bool, sources: Sequence[str] = SOURCES) -> Path:
    """Where results of these very sources are written; what others gave is removed, as with ``fresh``."""
    RESULTS.mkdir(exist_ok=True)
    file, of = RESULTS / f"{name}.jsonl", RESULTS / f"{name}.source"
    source = _digest(sources)
    if fresh or not of.exists() or of.read_text() != source:
        file.unlink(missing_ok=True)
        of.write_text(source)
    return file


def _digest(sources: Sequence[str]) -> str:
    """Of every file that git would take, as it is now."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", *sources],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    total = hashlib.sha256()
    for name in sorted(set(listing.stdout.split("\0"))):
        if (ROOT / name).is_file():
            total.update(f"{name}\0".encode() + (ROOT / name).read_bytes())
    return total.hexdigest()


def write(path: Path, result: dict[str, Any]) -> None:
    """Add one result; it is on the disk when this returns."""
    with path.open("a") as file:
        file.write(json.dumps(result) + "\n")


def read(path: Path) -> list[dict[str, Any]]:
    """Results so far; the last line may be half written."""
    results: list[dict[str, Any]] = []
    lines: Sequence[str] = path.read_text().splitlines() if path.exists() else ()
    for line in lines:
        try:
            results.append(json.loads(line))
        except ValueError:
            continue
    return results
