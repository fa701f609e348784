"""The units and the line of sudoers in docs/system, held against the programs that read them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.cluster import sudoers

DOCS = Path(__file__).parents[2] / "docs"
SYSTEM = DOCS / "system"
PREFIX = "/opt/shopfloor-hub"
UNITS = sorted(SYSTEM.glob("*.service"))


@pytest.mark.slurm
@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.stem)
def test_systemd_takes_the_units(unit: Path, tmp_path: Path):
    for one in UNITS:
        text = one.read_text().replace(f"{PREFIX}/bin", str(tmp_path))
        (tmp_path / one.name).write_text(text)
        for program in re.findall(rf"^ExecStart={PREFIX}/bin/(\S+)", one.read_text(), re.M):
            (tmp_path / program).write_text("#!/bin/sh\n")
            (tmp_path / program).chmod(0o755)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / unit.name)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = [line for line in done.stderr.splitlines() if "shopfloor" in line]
    assert (done.returncode, said) == (0, []), done.stderr


@pytest.mark.slurm
def test_visudo_takes_the_line_and_root_is_not_in_it():
    file = SYSTEM / "shopfloor.sudoers"
    done = subprocess.run(
        ["visudo", "--check", "--strict", f"--file={file}"],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    line = file.read_text()
    assert "ALL=(%shopfloor-users)" in line and "(ALL" not in line


def test_the_tests_run_with_the_same_line():
    told = [
        line for line in (SYSTEM / "shopfloor.sudoers").read_text().splitlines() if line[0] != "#"
    ]
    assert told == sudoers.text(Path(f"{PREFIX}/bin/shopfloor-helper")).splitlines()


def test_the_administrators_page_leads_to_each_and_repeats_none():
    page = (DOCS / "administrator.md").read_text()
    for file in SYSTEM.iterdir():
        assert f"(system/{file.name})" in page
    assert "ExecStart=" not in page and "NOPASSWD" not in page
