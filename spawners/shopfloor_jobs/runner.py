"""The program beside a job on its node: starts the command, passes signals on, keeps limits, writes records.

Run as ``python -IS runner.py DIR [INDEX]``; on Slurm this very file is the batch script. Hence the standard
library only, no import of shopfloor_jobs, and syntax that an old node understands. Linux only.

``DIR/request.json`` says what to run; under ``runner`` stands what is kept here rather than by the
scheduler: ``memory`` in bytes, ``time`` in seconds, ``grace`` (seconds between TERM and KILL) and ``warning``
(TERM comes this many seconds before the limit, so that the command can save; by default 5 % of it, at most 60).
The command runs in a session of its own. Its environment is the runner's, and SHOPFLOOR_*. One that ends on purpose
may say why in ``DIR/ending-INDEX.json``, which becomes the cause in its exit record.

TERM means "stop": the first one is passed on, KILL follows after the grace. INT, HUP, USR1 and USR2 are passed on
to the command alone. When it ends, what it left running is ended too, except jobs that it submitted.
"""

import contextlib
import ctypes
import json
import os
import signal
import sys
import time
from pathlib import Path

PASSED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
AWAITED = (*PASSED, signal.SIGCHLD)
LOOK_SECONDS = 0.4  # between looks at memory
SAMPLE_SECONDS = 30  # between records of use
LEFTOVER_SECONDS = 5  # what outlives the command may take this long to end after TERM
STUCK_SECONDS = 10  # after KILL, for what hangs in the kernel; the node's problem thereafter
SLURM_SLACK = 60  # seconds that Slurm may send an announced warning too early (sbatch(1), --signal)
START_SLACK = 5  # seconds that Slurm's clock for a job may be before ours
TAIL_LINES, TAIL_BYTES = 20, 16 * 1024
OWN_CAUSE_LENGTH = 200
PR_SET_CHILD_SUBREAPER = 36


class Runner:
    """One copy of one job, from the start of its command to its exit record."""

    def __init__(self, directory, index):
        self.directory, self.index = directory, index
        job = json.loads((directory / "request.json").read_text())
        keep = job["runner"]
        self.tag, self.command, self.asked = job["tag"], job["command"], job["request"]
        self.memory, self.limit, self.grace = keep["memory"], keep["time"], keep["grace"]
        self.started = time.time()
        limit = self.limit or self.asked["time"]
        self.ends = float(os.environ.get("SLURM_JOB_END_TIME") or self.started + limit)
        self.announced = keep.get("warning")
        self.warning = self.announced or min(60, limit * 0.05)
        early = self.announced + SLURM_SLACK if self.announced else 0
        self.last_moments = self.ends - START_SLACK - early
        self.child = self.status = self.cause = self.kill_at = None
        self.peak, self.next_look, self.next_sample = 0, self.started, self.started + 1
        self.kernel_kills = kernel_memory_kills()
        self.only_copy = keep.get("copies", 1) == 1

    def run(self):
        """Run the command to its end; returns the exit status for a shell."""
        for kind in ("exit", "ending"):
            (self.directory / f"{kind}-{self.index}.json").unlink(missing_ok=True)
        try:
            self.spawn()
        except (OSError, ValueError) as error:
            self.cause, code = cannot_start(self.command[0], error)
            self.write("exit", self.exit_record(code, None))
            return code
        self.write("start", self.start_record())
        while self.status is None:
            received = signal.sigtimedwait(AWAITED, self.pause())
            if received:
                self.receive(received.si_signo)
            self.reap()
            if self.status is None:
                self.keep_limits()
        self.end_what_is_left()
        if self.cause is None and self.only_copy:
            # Whoever was told to end may be told to start again, on another node; who told it discards them.
            discard(self.directory / "private")
        killed = os.WTERMSIG(self.status) if os.WIFSIGNALED(self.status) else None
        code = 128 + killed if killed else os.WEXITSTATUS(self.status)
        self.write("exit", self.exit_record(None if killed else code, killed))
        return code

    def spawn(self):
        env = {
            **os.environ,
            **secrets(self.directory),
            "SHOPFLOOR_JOB_DIR": str(self.directory),
            "SHOPFLOOR_TAG": self.tag,
            "SHOPFLOOR_INDEX": str(self.index),
            "SHOPFLOOR_ENDS": str(int(self.ends)),
        }
        self.child = os.posix_spawnp(
            self.command[0],
            self.command,
            env,
            setsid=True,
            setsigmask=(),
            setsigdef=(*AWAITED, signal.SIGPIPE, signal.SIGXFSZ),
        )

    def pause(self):
        due = [self.next_sample]
        if self.memory:
            due.append(self.next_look)
        if self.kill_at:
            due.append(self.kill_at)
        elif self.limit:
            due.append(self.ends - self.warning)
        return max(0.02, min(due) - time.time())

    def receive(self, number):
        if number == signal.SIGTERM:
            # Where the scheduler keeps the time limit, its TERM looks like anybody's.
            late = not self.limit and time.time() > self.last_moments
            self.stop(self.time_cause() if late else "was stopped", time.time() + self.grace)
        elif number in PASSED:
            send([self.child], number)

    def stop(self, cause, kill_at):
        # Only once: on Slurm the command gets its own TERM from scancel beside this one.
        if self.cause is None:
            self.cause, self.kill_at = cause, kill_at
            send([self.child], signal.SIGTERM)

    def reap(self):
        """Collect the ended ones; as the nearest reaper we inherit the orphans of the whole tree."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self.child:
                self.status = status

    def keep_limits(self):
        now = time.time()
        if self.limit and now >= self.ends - self.warning:
            self.stop(self.time_cause(), self.ends)
        if self.memory and now >= self.next_look:
            self.next_look = now + LOOK_SECONDS
            used = memory_of(descendants(os.getpid()), self.memory)
            self.peak = max(self.peak, used)
            if used > self.memory:
                self.cause = f"ran out of memory: asked {size(self.memory)}, used {size(used)}"
                self.kill_at = now
        if self.kill_at and now >= self.kill_at:
            self.kill_at = now + 0.1
            send(descendants(os.getpid()), signal.SIGKILL)
        if now >= self.next_sample:
            self.next_sample = now + SAMPLE_SECONDS
            self.sample(now)

    def sample(self, now):
        tree = descendants(os.getpid())
        memory = memory_of(tree, 0)
        self.peak = max(self.peak, memory)
        cpu = sum(map(cpu_seconds, [os.getpid(), *tree]))
        use = {"sampled": now, "cpu_seconds": cpu, "memory": memory, "memory_peak": self.peak}
        self.write("use", use)

    def end_what_is_left(self):
        patience = 0 if self.kill_at and time.time() >= self.kill_at - 0.1 else LEFTOVER_SECONDS
        kill_at = time.time() + min(patience, self.grace)
        asked = set()
        while time.time() < kill_at + STUCK_SECONDS:
            self.reap()
            left = descendants(os.getpid())
            if not left:
                return
            if time.time() >= kill_at:
                send(left, signal.SIGKILL)
            else:
                send([pid for pid in left if pid not in asked], signal.SIGTERM)
                asked.update(left)
            signal.sigtimedwait(AWAITED, 0.05)
        print(f"runner: these processes cannot be ended: {left}", file=sys.stderr)

    def time_cause(self):
        return f"reached its time limit of {span(self.asked['time'])}"

    def start_record(self):
        env = os.environ
        job_id = env.get("SLURM_JOB_ID") or env.get("SHOPFLOOR_JOB_ID", "")
        if "SLURM_ARRAY_JOB_ID" in env:
            job_id = f"{env['SLURM_ARRAY_JOB_ID']}_{env['SLURM_ARRAY_TASK_ID']}"
        return {
            "host": os.uname().nodename,
            "pid": os.getpid(),
            "command_pid": self.child,
            "started": self.started,
            "ends": self.ends,
            "stops": self.ends - self.warning if self.limit or self.announced else self.ends,
            "job_id": job_id,
            "cuda_visible_devices": env.get("CUDA_VISIBLE_DEVICES", ""),
        }

    def exit_record(self, code, killed):
        cause = self.cause or self.own_cause() or self.plain_cause(code, killed)
        tail = last_lines(self.directory / f"output-{self.index}.log")
        return {"ended": time.time(), "code": code, "signal": killed, "cause": cause, "tail": tail}

    def own_cause(self):
        """What the command left as the cause of its end, on one line; empty where it left nothing."""
        try:
            note = json.loads((self.directory / f"ending-{self.index}.json").read_text())
            return " ".join(note["cause"].split())[:OWN_CAUSE_LENGTH]
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return ""

    def plain_cause(self, code, killed):
        if 9 in (killed, (code or 0) - 128) and kernel_memory_kills() > self.kernel_kills:
            return f"ran out of memory: asked {size(self.asked['memory'])}"
        if killed:
            return by_signal(killed)
        return f"failed with exit code {code}" if code else "ended by itself"

    def write(self, kind, record):
        """A record appears whole or not at all; without one (disk full) the job still runs."""
        path = self.directory / f"{kind}-{self.index}.json"
        temporary = self.directory / f".{path.name}.{os.getpid()}"
        try:
            descriptor = os.open(str(temporary), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w") as file:
                json.dump(record, file)
            temporary.replace(path)
        except OSError as error:
            print(f"runner: {path.name} was not written: {error.strerror}", file=sys.stderr)


def cannot_start(name, error):
    """Why a command did not start, and a shell's exit status for it."""
    if isinstance(error, FileNotFoundError):
        return f"the command {name} was not found", 127
    return f"the command {name} cannot be run: {getattr(error, 'strerror', None) or error}", 126


def descendants(root):
    """Process ids below this one, without the runners of other jobs and what those run."""
    listed = Path(f"/proc/self/task/{os.getpid()}/children").exists()
    below = children if listed else process_table().get
    found, waiting = [], [root]
    while waiting:
        new = [pid for pid in below(waiting.pop()) or () if not is_runner(pid)]
        found += new
        waiting += new
    return found


def children(pid):
    found = []
    with contextlib.suppress(OSError):  # it ended meanwhile
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found


def process_table():
    """Children by parent, from all of /proc: for kernels that do not list children."""
    table = {}
    for path in Path("/proc").glob("[0-9]*"):
        fields = stat(path.name)
        if fields:
            table.setdefault(int(fields[1]), []).append(int(path.name))
    return table


def is_runner(pid):
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return len(words) > 4 and words[1] == b"-IS" and words[2] == words[3] + b"/script"


def stat(pid):
    """What follows the name in /proc/PID/stat, from the state on; None when the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None


def cpu_seconds(pid):
    fields = stat(pid)
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK") if fields else 0


def memory_of(pids, enough):
    """Bytes that these processes hold; exact (shared pages once) only where more than ``enough``."""
    coarse = sum(map(resident, pids))
    return coarse if coarse <= enough else sum(map(proportional, pids))


def resident(pid):
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def proportional(pid):
    """A process's share of memory without mapped files, which the kernel can drop at any time."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    except OSError:
        return resident(pid)
    sizes = {line.split()[0]: int(line.split()[1]) * 1024 for line in lines}
    return sizes.get("Pss:", 0) - sizes.get("Pss_File:", 0)


def kernel_memory_kills():
    """How often the kernel ended a process of our control group for want of memory."""
    kills = 0
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, kind, path = line.split(":", 2)
        if kind in ("", "memory"):
            file = f"/sys/fs/cgroup/{kind}{path}/memory.{'oom_control' if kind else 'events'}"
            with contextlib.suppress(OSError):
                rows = dict(row.split() for row in Path(file).read_text().splitlines())
                kills += int(rows.get("oom_kill", 0))
    return kills


def send(pids, number):
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def secrets(directory):
    """Variables that were not handed to the scheduler."""
    path = directory / "private" / "secrets.json"
    return json.loads(path.read_text()) if path.exists() else {}


def discard(folder):
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()


def last_lines(path):
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
            return "\n".join(file.read().decode(errors="replace").splitlines()[-TAIL_LINES:])
    except OSError:
        return ""


def by_signal(number):
    try:
        return f"killed by signal {number} ({signal.Signals(number).name})"
    except ValueError:  # most of the real-time signals have no name
        return f"killed by signal {number}"


def size(number):
    return f"{number / 1024**3:.1f} GB" if number >= 2 * 1024**3 else f"{number / 1024**2:.0f} MB"


def span(seconds):
    hours, minutes = divmod(int(seconds) // 60, 60)
    words = [f"{hours} h"] * (hours > 0) + [f"{minutes} min"] * (minutes > 0)
    return " ".join(words) or f"{seconds} s"


def main():
    signal.pthread_sigmask(signal.SIG_BLOCK, AWAITED)
    # Without it orphans escape us; a scheduler's control group still has them.
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    directory = Path(sys.argv[1])
    index = int(sys.argv[2] if len(sys.argv) > 2 else os.environ.get("SLURM_ARRAY_TASK_ID", 0))
    sys.exit(Runner(directory, index).run())


if __name__ == "__main__":
    main()
