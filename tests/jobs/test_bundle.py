"""The help bundle holds a job's records and output, bounded and without secrets, and nothing else that lies there."""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path

import pytest
from shopfloor_jobs import bundle

SECRET = "9f86d081884c7d659a2feaa0c55ad015"


@pytest.fixture
def job(tmp_path: Path) -> Path:
    path = tmp_path / "job"
    path.mkdir()
    (path / "request.json").write_text(json.dumps({"tag": "x", "api_token": SECRET}))
    (path / "start-0.json").write_text("{}")
    (path / "exit-0.json").write_text(json.dumps({"cause": "failed", "tail": f"token={SECRET}"}))
    (path / "output-0.log").write_text(
        f"password=hunter2\nJUPYTERHUB_API_TOKEN={SECRET}\nthe end\n"
    )
    for name in ("script", "lock", "key.pem", ".exit-0.json.7", "notes.txt"):
        (path / name).write_text(f"not for others {SECRET}")
    return path


def unpacked(packed: bytes) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


def test_records_and_output_are_in_it_and_keys_and_script_are_not(job: Path):
    files = unpacked(bundle.pack("tag", bundle.read_files(job)))
    assert set(files) == {
        f"tag/{name}"
        for name in ("request.json", "start-0.json", "exit-0.json", "output-0.log", "node.json")
    }
    assert json.loads(files["tag/node.json"])["shopfloor"] == bundle.__version__
    assert files["tag/output-0.log"].endswith("the end\n")


def test_planted_secrets_are_masked(job: Path):
    packed = bundle.pack("tag", bundle.read_files(job), known=["the end"])
    text = "".join(unpacked(packed).values())
    assert SECRET not in text and "hunter2" not in text and "the end" not in text
    assert "JUPYTERHUB_API_TOKEN=" in text


def test_links_pipes_and_folders_are_left_out_and_named(job: Path, tmp_path: Path):
    outside = tmp_path / "outside"
    outside.write_text("outside")
    (job / "output-1.log").symlink_to(outside)
    os.mkfifo(job / "output-2.log")
    (job / "output-3.log").mkdir()
    texts = bundle.read_files(job)
    assert "outside" not in "".join(texts.values())
    assert texts["left-out.txt"].split() == ["output-1.log", "output-2.log", "output-3.log"]


def test_its_size_is_bounded_and_the_end_of_a_log_is_what_counts(job: Path):
    (job / "output-0.log").write_text("a" * 3 * bundle.FILE_BYTES + "the end")
    for index in range(100):
        (job / f"start-{index}.json").write_text("b" * bundle.FILE_BYTES)
    texts = bundle.read_files(job)
    sizes = [len(text) for name, text in texts.items() if name not in ("left-out.txt", "node.json")]
    assert max(sizes) <= bundle.FILE_BYTES and sum(sizes) <= bundle.TOTAL_BYTES
    assert texts["output-0.log"].endswith("the end")
    assert "start-99.json" in texts["left-out.txt"].split()


def test_a_name_cannot_lead_out_of_the_folder():
    assert set(unpacked(bundle.pack("tag", {"../../evil": "x"}))) == {"tag/evil"}
