"""What all kernels of one Lab server share: whose it is, what may be asked for, and where jobs are asked for.

Without a server, as in a program that uses jupyter_client alone, each kernel has one of its own.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from shopfloor_lab.jobs import Jobs
from shopfloor_lab.offer import Offers


@dataclass(frozen=True)
class Holder:
    """Who has a kernel: the program with this process id on this host, that began at ``began`` (ticks since the host
    did); ``tag`` is its job's, empty where it is none."""

    tag: str
    host: str
    pid: int
    began: int = 0

    def lives_on(self, host: str) -> bool:
        """Whether it is a program of this host that may still run; what another host's does, nobody here can see."""
        return self.host == host and self.began == _began(self.pid)


def _began(pid: int) -> int | None:
    """When a process of this host began (proc(5)); None where there is none of this number."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return None


class Lab:
    """``environment`` is the server's own."""

    def __init__(
        self, home: Path | None = None, environment: Mapping[str, str] | None = None
    ) -> None:
        self.home = home or Path.home()
        self.environment = dict(os.environ if environment is None else environment)
        self.offers = Offers(self.home, self.environment)
        self.jobs = Jobs(self.offers.hub)
        tag = self.environment.get("SHOPFLOOR_TAG", "")
        self.me = Holder(tag, socket.gethostname(), os.getpid(), _began(os.getpid()) or 0)
