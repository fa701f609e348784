"""What is work for a kernel that is a job, with a clock of the test's own; and GPU time, with its records."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from shopfloor_jobs.idle import Rule
from shopfloor_jobs.request import Request
from shopfloor_lab.gpu_record import months, spent
from shopfloor_lab.kernels.before_end import BeforeEnd
from shopfloor_lab.kernels.life import Life
from shopfloor_lab.kernels.process import Kernel
from shopfloor_lab.session.given import Given
from shopfloor_lab.session.gpu_time import GpuTime
from shopfloor_lab.session.gpus import Gpu
from shopfloor_lab.session.use import Use

RULE = Rule(after=7200, warning=600)
HOUR = 3600.0
NOVEMBER = time.mktime((2026, 11, 30, 23, 0, 0, 0, 0, -1))


def job(path: Path, **more: Any) -> Given:
    now = time.time()
    request = Request(time=24 * 3600, account="physics", gpus=more.pop("gpus", 1))
    tag = "shopfloor-kernel-0123456789abcdef"
    ends = now + more.pop("ends_in", 24 * HOUR)
    more = {"began": now, "project": "physics", **more}
    return Given(path, 0, tag, request, ends, ends, Rule(), False, "0", **more)


class CellsAsTold:
    """Cells that run when the test says so."""

    def __init__(self) -> None:
        self.busy, self.worked = False, 0.0
        self.computes = False  # something else than a cell

    @property
    def execution(self) -> str:
        return "busy" if self.busy or self.computes else "idle"


class MeterAsTold:
    """Shows what the test says: GPUs' shares of time (None: they do not say), and the cores of one program; or nothing,
    where it is broken."""

    def __init__(self, *busy: float | None):
        self.busy, self.cores, self.broken = busy, 0.0, False

    def read(self) -> Use:
        if self.broken:
            raise OSError("Stale file handle")
        gpus = tuple(Gpu("A100", one, 30 << 30, 80 << 30) for one in self.busy)
        return Use(self.cores, 1, 0, 1, gpus, None, None, {4711: self.cores})


class Watched:
    """The life of a job in which no kernel is started; ``now`` is what its clock shows."""

    def __init__(self, path: Path, meter: MeterAsTold, **given: Any):
        self.path, self.meter, self.now, self.ended = path, meter, 1000.0, 0
        self.cells = CellsAsTold()
        self.told: list[dict[str, Any]] = []
        inside = path / "inside"
        inside.mkdir()
        self.life = Life(
            job(path, **given),
            RULE,
            Kernel(inside, {}, lambda: None),
            BeforeEnd(inside, path, lambda: None),
            self.cells,
            tell=self._tell,
            end=self._end,
            home=path,
            meter=meter,
            clock=lambda: self.now,
        )

    async def after(self, seconds: float, every: float = 10) -> str:
        """Look as often as it does for so long; the state that it comes to."""
        end, over = self.now + seconds, False
        while self.now < end and not over:
            self.now = min(end, self.now + every)
            over = await self.life.look()
        return self.life.report()["idle"]["state"]

    def cause(self) -> str:
        return json.loads((self.path / "ending-0.json").read_text())["cause"]

    def _tell(self) -> None:
        self.told.append(self.life.report())

    def _end(self) -> None:
        self.ended += 1


Watch = Callable[..., Watched]


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    def begin(*busy: float | None, **given: Any) -> Watched:
        return Watched(tmp_path, MeterAsTold(*busy), **given)

    return begin


async def test_a_gpu_that_holds_memory_and_computes_nothing_is_idle_whatever_the_cpus_do(
    watch: Watch,
):
    one = watch(0.0)
    one.meter.cores = 8.0
    assert await one.after(6590) == "active"
    assert await one.after(20) == "warned"
    assert await one.after(600) == "expired"
    assert one.ended == 1 and one.cause() == "ended after 2 h without GPU work"
    states = [told["idle"]["state"] for told in one.told]
    assert states == ["active", "warned", "expired"], "and nothing else is told unasked"


async def test_nothing_is_ended_while_a_cell_runs(watch: Watch):
    one = watch(0.0)
    one.cells.busy = True
    assert await one.after(9 * HOUR, every=50) == "active"
    one.cells.busy = False
    assert await one.after(2 * HOUR + 20) == "expired"


async def test_what_a_widget_began_is_work_though_it_is_no_cell(watch: Watch):
    one = watch(0.0)
    one.cells.computes = True
    assert await one.after(9 * HOUR, every=50) == "active"
    one.cells.computes = False
    assert await one.after(2 * HOUR + 20) == "expired"


async def test_a_limit_that_is_moved_is_followed_and_what_was_done_before_is_done_again(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
):
    done: list[float] = []

    async def save(self: BeforeEnd, kernel: int | None, seconds: float) -> None:
        self._process = 1
        done.append(time.time())

    monkeypatch.setattr(BeforeEnd, "run", save)
    monkeypatch.setattr(BeforeEnd, "wanted", lambda self, kernel: not self.begun)
    one = watch(1.0, ends_in=20)
    await one.after(100)
    assert len(done) == 1 and one.life.report()["ending"] == "time"
    moved = one.life.report()["ends"] + 6 * HOUR
    one.life.move_end(moved)
    await one.after(100)
    report = one.told[-1]
    assert (report["ends"], report["ending"], report["warning"]) == (moved, None, None)
    assert report["stops"] == moved and len(done) == 1
    one.life.move_end(time.time() + 20)
    await one.after(100)
    assert len(done) == 2 and one.life.report()["ending"] == "time"


async def test_a_short_cell_between_two_looks_is_work(watch: Watch):
    one = watch(0.0)
    assert await one.after(7000) == "warned"
    one.cells.worked = 5.0
    assert await one.after(10) == "active"


@pytest.mark.parametrize("share", [0.05, 1.0])
async def test_a_gpu_that_computes_is_work(watch: Watch, share: float):
    one = watch(0.0, share, gpus=2)
    assert await one.after(5 * HOUR, every=50) == "active"


async def test_a_kernel_that_cannot_be_measured_is_not_ended(watch: Watch):
    one = watch(0.0)
    one.meter.broken = True
    assert await one.after(5 * HOUR, every=50) == "active"


async def test_the_persons_hand_keeps_it(watch: Watch):
    one = watch(0.0)
    assert await one.after(7000) == "warned"
    one.life.keep()
    assert one.told[-1]["idle"] == {"state": "active", "after": 7200, "ends": None}
    assert await one.after(6500) == "active"


@pytest.mark.parametrize(
    ("busy", "gpus"),
    [((), 0), ((), 1), ((None,), 1), ((0.0, None), 2)],
    ids=["no GPU", "no library", "a MIG slice", "one of two does not say"],
)
async def test_where_no_gpu_says_what_it_does_the_programs_count(
    watch: Watch, busy: tuple[float | None, ...], gpus: int
):
    one = watch(*busy, gpus=gpus)
    one.meter.cores = 1.0
    assert await one.after(5 * HOUR, every=50) == "active"
    one.meter.cores = 0.01
    assert await one.after(2 * HOUR + 20) == "expired"
    assert one.cause() == "ended after 2 h without work"


async def test_the_end_does_not_move_while_it_is_counted_down(watch: Watch):
    one = watch(0.0)
    await one.after(6700)
    ends = {one.life.report()["idle"]["ends"]}
    await one.after(300)
    assert ends == {one.life.report()["idle"]["ends"]}
    assert 0 < ends.pop() - time.time() <= 601


async def test_who_comes_while_it_is_saved_keeps_it(watch: Watch, monkeypatch: pytest.MonkeyPatch):
    one = watch(0.0)

    async def save(self: BeforeEnd, kernel: int | None, seconds: float) -> None:
        one.cells.worked = 5.0

    monkeypatch.setattr(BeforeEnd, "run", save)
    assert await one.after(2 * HOUR + 20) == "active"
    assert one.ended == 0 and one.life.report()["ending"] is None


def count(path: Path, **more: Any) -> tuple[GpuTime, list[float]]:
    """GPU time of a job with two GPUs that began in the last hour of November, and its clock."""
    now = [NOVEMBER]
    return GpuTime(job(path, gpus=2, began=NOVEMBER, **more), path, lambda: now[0]), now


def gpus(*busy: float | None) -> list[Gpu]:
    return [Gpu("A100", one, 0, 1) for one in busy]


def test_gpu_time_is_held_from_the_start_and_used_as_the_gpus_say(tmp_path: Path):
    time_, now = count(tmp_path)
    now[0] += 100
    time_.note(gpus(1.0, 1.0))
    assert time_.report() == {"held": 200.0, "used": 0.0, "unknown": 200.0}, "what was before"
    now[0] += 10
    time_.note(gpus(0.5, None))
    assert time_.report() == {"held": 220.0, "used": 5.0, "unknown": 210.0}


@pytest.mark.parametrize("gpus_seen", [(), (None, None)], ids=["no library", "MIG slices"])
def test_of_gpus_that_say_nothing_it_is_not_known_whether_they_are_used(tmp_path: Path, gpus_seen):
    time_, now = count(tmp_path)
    for _ in range(3):
        now[0] += 100
        time_.note(gpus(*gpus_seen))
    assert time_.report() == {"held": 600.0, "used": 0.0, "unknown": 600.0}


def test_what_a_job_did_that_stood_still_for_hours_is_not_known(tmp_path: Path):
    """Suspended by Slurm, say, and then it computes."""
    time_, now = count(tmp_path)
    time_.note(gpus(0.0, 0.0))
    now[0] += 10 * HOUR
    time_.note(gpus(1.0, 1.0))
    assert time_.report() == {"held": 20 * HOUR, "used": 0.0, "unknown": 20 * HOUR}


def test_gpu_time_is_kept_by_month_and_project_without_the_jobs_directory(tmp_path: Path):
    time_, now = count(tmp_path)
    for _ in range(2 * 60):
        now[0] += 60
        time_.note(gpus(0.5, 0.5))
    assert months(tmp_path) == ["2026-12", "2026-11"]
    held = [spent(tmp_path, month)["physics"]["held"] for month in months(tmp_path)]
    assert held == [7320.0, 7080.0], (
        "what passed since the last look counts to the month of this one"
    )
    assert spent(tmp_path, "2026-12")["physics"]["used"] == 3660.0
    [record] = (tmp_path / ".local/share/shopfloor/gpu-time/2026-12").iterdir()
    assert oct(record.stat().st_mode & 0o777) == "0o600"


def test_two_jobs_of_a_project_are_added_and_a_requeued_one_counts_twice(tmp_path: Path):
    for began in (NOVEMBER, NOVEMBER + 600):
        one = GpuTime(job(tmp_path, began=began), tmp_path, lambda: NOVEMBER + 1200)
        one.note(gpus(0.0))
        one.write()
    assert spent(tmp_path, "2026-11") == {
        "physics": {"held": 1800.0, "used": 0.0, "unknown": 1800.0}
    }


def test_a_year_of_records_is_kept(tmp_path: Path):
    folder = tmp_path / ".local/share/shopfloor/gpu-time"
    for month in [f"2025-{one:02}" for one in range(1, 13)] + ["2026-01", "2026-02"]:
        (folder / month).mkdir(parents=True)
    time_, _ = count(tmp_path)
    time_.note(())
    time_.write()
    assert len(months(tmp_path)) == 13 and months(tmp_path)[-1] == "2025-03"


def test_a_job_without_gpus_leaves_no_record_and_a_broken_one_is_passed_over(tmp_path: Path):
    one = GpuTime(job(tmp_path, gpus=0), tmp_path)
    one.note(())
    one.write()
    assert months(tmp_path) == [] and spent(tmp_path, "2026-11") == {}
    folder = tmp_path / ".local/share/shopfloor/gpu-time" / "2026-11"
    folder.mkdir(parents=True)
    (folder / "shopfloor-kernel.json").write_text('{"project": "p", "held": "much"}')
    assert spent(tmp_path, "2026-11") == {}


def test_a_home_that_cannot_be_written_ends_nothing(tmp_path: Path):
    (tmp_path / ".local").write_text("no directory")
    time_, now = count(tmp_path)
    now[0] += 3600
    time_.note(gpus(1.0, 1.0))
    assert time_.report()["held"] == 7200.0
