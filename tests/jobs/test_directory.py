"""The job's directory: records are whole or absent, and only what ended is tidied away."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from shopfloor_jobs import directory
from shopfloor_jobs.job import Job, new_tag
from shopfloor_jobs.request import Request

LIMITS = {"memory": None, "time": None, "grace": 10}


def job() -> Job:
    return Job(
        tag=new_tag("test"),
        owner="alice",
        kind="test",
        request=Request(),
        command=("true",),
        env={"TOKEN": "s3cr3t"},
        title="mine",
    )


def test_a_prepared_directory_holds_request_and_script_and_no_environment(tmp_path: Path):
    one = job()
    path = directory.prepare(tmp_path, one, LIMITS, "/usr/bin/python3")
    assert path == tmp_path / ".local/share/shopfloor/jobs" / one.tag
    written = json.loads((path / "request.json").read_text())
    assert written.pop("runner") == LIMITS
    assert Job.from_json(written, one.confidential()) == one
    assert (path / "script").read_text().startswith("#!/usr/bin/python3 -IS\n")
    assert not any(b"s3cr3t" in file.read_bytes() for file in path.iterdir())
    assert path.stat().st_mode & 0o777 == 0o700
    assert (path / "request.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("tag", ["", "../x", "shopfloor-test-0", "shopfloor-test-" + "0" * 17, "x"])
def test_what_is_no_tag_has_no_directory(tmp_path: Path, tag: str):
    with pytest.raises(ValueError, match="tag: "):
        directory.directory_of(tmp_path, tag)


def test_a_record_that_is_absent_or_broken_is_none(tmp_path: Path):
    assert directory.exit_record(tmp_path) is None
    (tmp_path / "exit-0.json").write_text('{"code"')
    assert directory.exit_record(tmp_path) is None
    (tmp_path / "exit-0.json").write_text("[]")
    assert directory.exit_record(tmp_path) is None


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path):
    path = tmp_path / "record"
    directory.write_text(path, "old")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError):
        directory.write_text(tmp_path / "folder", "new")  # a folder cannot be replaced by a file
    assert {one.name for one in tmp_path.iterdir()} == {"record", "folder"}


def test_the_tail_is_of_the_newest_copy(tmp_path: Path):
    for index, seconds in ((0, 10), (1, 30), (2, 20)):
        file = tmp_path / f"output-{index}.log"
        file.write_text(f"first\nof {index}\n")
        os.utime(file, (seconds, seconds))
    assert directory.tail(tmp_path, lines=1) == "of 1"


def test_only_the_oldest_ended_jobs_are_tidied_away(tmp_path: Path):
    def ended(seconds: int, starts: int = 1, exits: int = 1, copies: int = 1) -> Path:
        limits = {**LIMITS, "copies": copies}
        path = directory.prepare(tmp_path, job(), limits, "python3")
        for kind, count in (("start", starts), ("exit", exits)):
            for index in range(count):
                (path / f"{kind}-{index}.json").write_text("{}")
        os.utime(path, (seconds, seconds))
        return path

    old, new, newest = ended(10), ended(20), ended(30)
    waiting = ended(1, starts=0, exits=0)
    running = ended(2, starts=1, exits=0)
    one_copy_runs = ended(3, starts=3, exits=2)
    one_copy_waits = ended(5, starts=1, exits=1, copies=2)
    never_started = ended(4, starts=0, exits=1)
    directory.tidy(tmp_path, keep=2)
    left = set(directory.jobs_root(tmp_path).iterdir())
    assert left == {new, newest, waiting, running, one_copy_runs, one_copy_waits}
    assert old not in left and never_started not in left


def test_whoever_tidies_the_same_home_at_the_same_time_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    paths = [directory.directory_of(tmp_path, new_tag("test")) for _ in range(4)]
    for path in paths:
        path.mkdir(parents=True)
        (path / "exit-0.json").write_text("{}")
    has_ended = directory._has_ended

    def look(path: Path) -> bool:
        ended = has_ended(path)
        if path == paths[0]:
            shutil.rmtree(path)  # by another one's hand
        return ended

    monkeypatch.setattr(directory, "_has_ended", look)
    directory.tidy(tmp_path, keep=1)
    assert len(list(directory.jobs_root(tmp_path).iterdir())) == 1


@pytest.mark.timeout(20)
def test_what_is_no_plain_file_holds_nobody_up_and_is_not_followed(tmp_path: Path):
    """The hub's helper reads these, in homes where anything may lie."""
    path = directory.directory_of(tmp_path, new_tag("test"))
    path.mkdir(parents=True)
    os.mkfifo(path / "exit-0.json")
    os.mkfifo(path / "output-0.log")
    (tmp_path / "elsewhere").write_text("{}")
    (path / "start-0.json").symlink_to(tmp_path / "elsewhere")
    for read in (directory.exit_record, directory.start_record, directory.tail):
        with pytest.raises(OSError, match=r"no plain file|Too many levels"):
            read(path)
    os.mkfifo(path / "request.json")
    directory.tidy(tmp_path, keep=0)
    assert path.exists(), "whether it has ended is not known"


def test_a_record_that_is_larger_than_any_of_ours_is_none(tmp_path: Path):
    record = tmp_path / "exit-0.json"
    for size, known in ((1024, True), (directory.LARGEST_RECORD, False)):
        record.write_text(json.dumps({"cause": "a" * size}))
        assert (directory.read_json(record) is not None) is known
    record.write_text("[" * 200_000)
    assert directory.read_json(record) is None
