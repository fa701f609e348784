"""Which package may import which: the table that the README shows, held against every import in the source."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = {
    "shopfloor_hub": ROOT / "hub_config" / "shopfloor_hub",
    "shopfloor_spawners": ROOT / "spawners" / "shopfloor_spawners",
    "shopfloor_jobs": ROOT / "spawners" / "shopfloor_jobs",
    "shopfloor_lab": ROOT / "extensions" / "shopfloor_lab",
}
# Package -> which of ours it may import. Nothing may be imported that stands to its left.
ALLOWED = {
    "shopfloor_hub": {"shopfloor_spawners", "shopfloor_jobs"},
    "shopfloor_spawners": {"shopfloor_jobs"},
    "shopfloor_jobs": set(),
    "shopfloor_lab": {"shopfloor_jobs"},
}


def imported(source: str) -> Iterator[tuple[int, str]]:
    """Line and top-level package of each absolute import, also of those inside functions."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name.split(".")[0]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.lineno, node.module.split(".")[0]


def against_the_arrows(package: str, source: str) -> list[str]:
    return [
        f"line {line}: {name}"
        for line, name in imported(source)
        if name in FOLDERS and name != package and name not in ALLOWED[package]
    ]


@pytest.mark.parametrize("package", FOLDERS)
def test_imports_follow_the_arrows(package):
    files = list(FOLDERS[package].rglob("*.py"))
    assert files
    wrong = {
        str(path.relative_to(ROOT)): found
        for path in files
        if (found := against_the_arrows(package, path.read_text()))
    }
    assert wrong == {}


def test_an_arrow_the_wrong_way_is_found():
    source = "def f():\n    from shopfloor_hub.site import load\n"
    assert against_the_arrows("shopfloor_jobs", source) == ["line 2: shopfloor_hub"]


# Modules of shopfloor_jobs that only those import who bring this along.
BRINGS = {"certificates.py": "cryptography"}


def test_jobs_need_nothing_but_the_standard_library():
    for path in FOLDERS["shopfloor_jobs"].rglob("*.py"):
        for line, name in imported(path.read_text()):
            known = name in sys.stdlib_module_names or name in ("shopfloor_jobs", "tomli")
            assert known or BRINGS.get(path.name) == name, f"{path.name}, line {line}: {name}"


@pytest.mark.parametrize("module", [Path(name).stem for name in BRINGS])
def test_no_module_of_jobs_imports_what_needs_more(module: str):
    for path in FOLDERS["shopfloor_jobs"].rglob("*.py"):
        assert f"import {module}" not in path.read_text(), path.name
        assert f".{module} import" not in path.read_text(), path.name
