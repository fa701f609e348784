"""One daemon in the foreground: started with a log and a pid file, awaited, ended by its pid file."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from .errors import ClusterError
from .layout import Layout
from .processes import end, identity, living, wait_until


@dataclass(frozen=True)
class Service:
    """A daemon by its command line and the condition under which it serves.

    `ready` is polled for at most `timeout` seconds; `user` is whom it runs as (None: root).
    """

    name: str
    argv: list[str]
    ready: Callable[[], bool]
    environment: dict[str, str] = field(default_factory=dict)
    user: str | None = None
    timeout: float = 30

    def log(self, layout: Layout) -> Path:
        return layout.logs / f"{self.name}.out"

    def start(self, layout: Layout) -> None:
        """Start it and leave its pid file; does not wait."""
        with self.log(layout).open("ab") as log:
            process = subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=layout.run,
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"} | self.environment,
                user=self.user,
                group=self.user,
                extra_groups=[] if self.user else None,
                # Ctrl-C at the terminal is for us, who then end the daemons in order.
                start_new_session=True,
            )
        # The object is let go: `end` reaps, here or in another process, by the pid file.
        process.returncode = 0
        pid_file(layout, self.name).write_text(identity(process.pid))

    def wait_ready(self, layout: Layout) -> None:
        """Raises ClusterError with the log's last lines if it ended or is not ready in time."""

        def ready_or_dead() -> bool:
            return self.ready() or not is_running(layout, self.name)

        try:
            wait_until(ready_or_dead, self.timeout, f"{self.name} to answer")
        except ClusterError as error:
            raise ClusterError(f"{error}{self._last_lines(layout)}") from None
        if not is_running(layout, self.name):
            raise ClusterError(f"{self.name} ended at once.{self._last_lines(layout)}")

    def _last_lines(self, layout: Layout) -> str:
        text = ""
        for log in (self.log(layout), layout.logs / f"{self.name}.log"):
            if log.exists():
                text += log.read_text(errors="replace")
        lines = text.splitlines()[-12:]
        return " Its log ends:\n  " + "\n  ".join(lines) if lines else ""


def pid_file(layout: Layout, name: str) -> Path:
    return layout.pids / f"{name}.pid"


def is_running(layout: Layout, name: str) -> bool:
    """Whether the daemon that left this pid file still lives."""
    file = pid_file(layout, name)
    return file.exists() and living(file.read_text()) is not None


def running(layout: Layout) -> dict[str, int]:
    """Name and process id of every living daemon of this cluster."""
    found = {file.stem: living(file.read_text()) for file in layout.pids.glob("*.pid")}
    return {name: pid for name, pid in found.items() if pid is not None}


def end_all(layout: Layout, patience: float = 5) -> None:
    """End every daemon that left a pid file, the youngest first."""
    files = sorted(layout.pids.glob("*.pid"), key=lambda file: file.stat().st_mtime_ns)
    for file in reversed(files):
        end(file.read_text(), patience)
        file.unlink(missing_ok=True)
