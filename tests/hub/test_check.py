"""`shopfloor check`: each thing that is wrong is one line with what to do, on this machine and on a real Slurm."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from shopfloor_hub import check_slurm
from shopfloor_hub.check import findings, partitions, presets
from shopfloor_hub.findings import FAIL, OK, WARN, Finding
from shopfloor_hub.site import Site, load, parse
from shopfloor_jobs import __version__
from shopfloor_jobs.scheduler import Description, PartitionInfo

from tests.harness import free_ports

GB = 1024**3
CPU = PartitionInfo("cpu", nodes=4, cpus=16, memory=64 * GB, time=86400, default=True)
DOWN = PartitionInfo("gpu", nodes=2, cpus=32, memory=128 * GB, gpus={"a100": 4}, up=False)
SLURM = "[scheduler]\ntype = 'slurm'\nhelper = '/opt/helper'\n"


def levels(found, words: str) -> list[str]:
    return [one.level for one in found if words in one.text]


def local_site(directory: Path, tables: str = "") -> Site:
    port, internal, api = free_ports(3)
    file = directory / "site.toml"
    file.write_text(
        f"[hub]\nport = {port}\ninternal_port = {internal}\nproxy_api_port = {api}\n{tables}"
    )
    return load(file)


def run(file: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "shopfloor_hub.cli", "check", "--site", str(file)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_a_site_without_a_mistake_passes(tmp_path):
    site = local_site(tmp_path)
    done = run(site.file)
    assert "FAIL" not in done.stdout, done.stdout
    assert done.returncode == 0


def test_one_thing_to_mend_fails_the_command(tmp_path):
    site = local_site(tmp_path, "[[groups]]\nname='team'\nfolder='/does/not/exist'\n")
    done = run(site.file)
    assert done.returncode == 1
    line = "FAIL  groups[0].folder: /does/not/exist is no directory; run: mkdir -p /does/not/exist"
    assert line in done.stdout.splitlines()
    assert done.stdout.splitlines()[-1] == "1 to mend."


def test_state_and_passwords_that_others_can_read_fail(tmp_path):
    site = local_site(tmp_path, "[login]\nadmins = ['trainer']\n")
    site.state.mkdir(mode=0o755)
    site.passwords_file.write_text(json.dumps({"alice": "alices-password"}))
    site.passwords_file.chmod(0o644)
    found = list(findings(site))
    assert levels(found, "others can look into") == [FAIL]
    assert levels(found, "others can read the passwords") == [FAIL]
    site.state.chmod(0o700)
    site.passwords_file.chmod(0o600)
    found = list(findings(site))
    assert levels(found, "is private") == [OK]
    assert levels(found, "login.admins: trainer has no password") == [WARN]


def test_an_environment_without_our_program_or_of_another_version_fails(tmp_path):
    site = local_site(tmp_path, f"[environments.x]\npath = '{tmp_path}/x'\n")
    assert levels(findings(site), "environments.x.path: there is no") == [FAIL]
    (tmp_path / "x" / "bin").mkdir(parents=True)
    for name, text in (("shopfloor-singleuser", ""), ("python", "#!/bin/sh\necho 0.0.9\n")):
        program = tmp_path / "x" / "bin" / name
        program.write_text(text)
        program.chmod(0o755)
    assert levels(findings(site), "shopfloor-lab 0.0.9 is installed") == [FAIL]
    (tmp_path / "x" / "bin" / "python").write_text(f"#!/bin/sh\necho {__version__}\n")
    assert levels(findings(site), f"environments.x: shopfloor-lab {__version__}") == [OK]


def test_partitions_are_held_against_the_scheduler():
    text = "[[partitions]]\nname='cpu'\ncpus=64\n[[partitions]]\nname='gpu'\n[[partitions]]\nname='old'\n"
    found = list(partitions(parse(SLURM + text), Description("test", "1", (CPU, DOWN))))
    assert Finding(WARN, "partitions[0].cpus: above the scheduler's own limit; 16 counts") in found
    assert Finding(WARN, "partitions[1]: gpu is down; see: sinfo -R") in found
    words = "partitions[2].name: 'old' does not exist; the scheduler has: cpu, gpu"
    assert Finding(FAIL, words) in found


def test_presets_that_nobody_can_have_fail():
    text = "[[presets]]\nname='a'\ngpus=1\n"
    found = list(presets(parse(SLURM + text), Description("test", "1", (CPU, DOWN))))
    assert levels(found, "preset a: The partition gpu is down.") == [WARN]
    assert levels(found, "presets: none can be had") == [FAIL]


def test_site_limits_that_slurm_does_not_hold_are_named():
    text = "[limits]\ntime='2h'\ncpus=16\n[[partitions]]\nname='cpu'\nmemory='8G'\n"
    found = list(check_slurm.unenforced(parse(SLURM + text), Description("t", "1", (CPU,))))
    assert [one.text.split(":")[0] for one in found] == ["limits.time", "partitions[0].memory"]


def test_partitions_that_take_no_jobs_from_every_node_are_named():
    gpu = replace(DOWN, up=True, submit_from="login01,lab[01-04]")
    known = Description("t", "1", (CPU, gpu))
    (finding,) = check_slurm.submission(parse(SLURM), known)
    assert finding.level == WARN
    words = "only login01,lab[01-04] may submit jobs to gpu (AllocNodes)"
    assert finding.text.startswith(f"clusters.beside_lab: {words}")
    (finding,) = check_slurm.submission(parse(SLURM + "[clusters]\nbeside_lab=true\n"), known)
    assert finding.level == OK
    not_offered = parse(SLURM + "[[partitions]]\nname='cpu'\n")
    assert list(check_slurm.submission(not_offered, known)) == []


@pytest.mark.slurm
def test_a_site_on_a_real_slurm_passes_and_its_rights_are_proven(slurm_hub):
    found = list(findings(load(slurm_hub.hub.site)))
    assert [one.text for one in found if one.level == FAIL] == []
    assert levels(found, "scheduler.helper: shopfloor can run it as trainer") == [OK]
    assert levels(found, "ports: Shopfloor runs at") == [OK]
    assert levels(found, "batch jobs start without delay") == [OK]
    assert levels(found, "preset one-gpu: can be had") == [OK]


@pytest.mark.slurm
def test_a_helper_that_sudo_does_not_know_fails(slurm_hub, tmp_path):
    tmp_path.chmod(0o755)
    other = tmp_path / "shopfloor-helper"
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    text = slurm_hub.hub.site.read_text()
    site = parse(text.replace(str(load(slurm_hub.hub.site).scheduler.helper), str(other)))
    found = list(check_slurm.helper(site))
    assert levels(found, f"sudoers needs: shopfloor ALL=(%people) NOPASSWD: {other}") == [FAIL]
