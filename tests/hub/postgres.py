"""A real PostgreSQL as a process of its own in a directory of its own, with a password, on loopback."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from tests.harness import free_ports, wait_until

PROGRAMS = Path("/usr/lib/postgresql")  # Debian's place; it puts the version below


class Postgres:
    """``start()``, ``stop()`` and ``remove()``; :attr:`url` is what a site file names."""

    def __init__(self) -> None:
        # Neither runs as root: then it is Debian's own user.
        self.user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
        self.programs = max(PROGRAMS.glob("*/bin"), key=lambda path: float(path.parent.name))
        self.directory = Path(tempfile.mkdtemp(prefix="shopfloor-postgres-"))
        self.data = self.directory / "data"
        self.port = free_ports(1)[0]
        self.password = secrets.token_urlsafe(16)
        self.process: subprocess.Popen[bytes] | None = None
        secret = self.directory / "password"
        secret.touch(mode=0o600)
        secret.write_text(self.password)
        if os.geteuid() == 0:
            for path in (self.directory, secret):
                shutil.chown(path, self.user)
        self._run(
            "initdb",
            f"--pgdata={self.data}",
            "--username=shopfloor",
            "--auth=scram-sha-256",
            f"--pwfile={secret}",
            "--no-sync",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
        )

    @property
    def url(self) -> str:
        return f"postgresql://shopfloor:{self.password}@127.0.0.1:{self.port}/postgres"

    def start(self) -> Postgres:
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.directory),
            "fsync": "off",
            "shared_buffers": "16MB",
        }
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    str(self.programs / "postgres"),
                    f"-D{self.data}",
                    f"-p{self.port}",
                    *(f"--{key}={value}" for key, value in settings.items()),
                ],
                cwd=self.directory,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self._as_user(),
            )
        wait_until(self._answers, 30, "PostgreSQL answers")
        return self

    def _answers(self) -> bool:
        command = [str(self.programs / "pg_isready"), "-q", "-h127.0.0.1", f"-p{self.port}"]
        return subprocess.run(command, timeout=10, check=False).returncode == 0

    def stop(self) -> None:
        """As ``systemctl restart`` does: who is connected is thrown out."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)

    def remove(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.stop()
        shutil.rmtree(self.directory)

    def ask(self, statement: str) -> str:
        command = [str(self.programs / "psql"), "-XAtc", statement, self.url]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=20, check=True
        ).stdout.strip()

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self.programs / program), *arguments],
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            **self._as_user(),
        )
        assert done.returncode == 0, done.stderr

    def _as_user(self) -> dict:
        if os.geteuid() != 0:
            return {}
        group = pwd.getpwnam(self.user).pw_gid
        return {"user": self.user, "group": group, "extra_groups": []}
