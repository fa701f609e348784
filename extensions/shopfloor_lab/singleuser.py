"""``shopfloor-singleuser``: the Jupyter server on a node, which binds a free port first and then reports it to the hub.

Started by the hub's spawner; with no ``SHOPFLOOR_ARRIVAL_URL`` in the environment it reports to nobody.
"""

from __future__ import annotations

import asyncio
import atexit
import json
import os
import shutil
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any

from shopfloor_jobs.tls import context_for_jupyterhub, server_context
from tornado.httpclient import AsyncHTTPClient, HTTPClientError
from tornado.netutil import bind_sockets

from .lean import deferred

with deferred("rfc3987_syntax", "alembic", "alembic.command", "alembic.config", "alembic.script"):
    from jupyter_server.serverapp import ServerApp
    from jupyterhub.services import auth
    from jupyterhub.singleuser import extension
    from jupyterhub.singleuser.extension import JupyterHubSingleUser

REPORT_FOR = 600  # seconds that a hub may be away, for example to be restarted
FINAL = (400, 403, 409, 413)  # answers that asking again does not change


class BindingServerApp(ServerApp):
    """A server that keeps the port it found: stock code closes it and hopes that it is still free later."""

    _bound: list[socket.socket]

    def _find_http_port(self) -> None:
        self._bound = bind_sockets(self.port, self.ip or None)
        self.port = self._bound[0].getsockname()[1]

    def _bind_http_server_tcp(self) -> bool:
        if self.keyfile and self.certfile and self.client_ca:
            self.http_server.ssl_options = server_context(
                self.keyfile, self.certfile, self.client_ca
            )
        self.http_server.add_sockets(self._bound)
        return True


class ShopfloorSingleUser(JupyterHubSingleUser):
    """JupyterHub's single-user server, which reports its port once it listens."""

    serverapp_class = BindingServerApp

    @classmethod
    def get_extension_package(cls) -> str:
        return __name__  # the package itself is the extension of app.py

    async def _start_jupyter_server_extension(self, serverapp: ServerApp) -> None:
        await super()._start_jupyter_server_extension(serverapp)
        if url := os.environ.get("SHOPFLOOR_ARRIVAL_URL"):
            await self._report(url, serverapp.port)

    async def _report(self, url: str, port: int) -> None:
        """Tell the hub our port, as long as it takes it to answer. Exits if the hub does not want us."""
        request = {
            "method": "POST",
            "body": json.dumps({"port": port, "nonce": os.environ.get("SHOPFLOOR_NONCE", "")}),
            "headers": {
                "Authorization": f"token {os.environ['JUPYTERHUB_API_TOKEN']}",
                "Content-Type": "application/json",
            },
            "ssl_options": self.hub_http_client_opts.get("ssl"),
        }
        client, pause, waited = AsyncHTTPClient(), 0.1, 0.0
        while True:
            try:
                await client.fetch(url, **request)
                self.log.info("The hub knows that this server listens on port %i", port)
                return
            except (HTTPClientError, OSError) as error:
                refused = getattr(error, "code", None) in FINAL
                if refused or waited > REPORT_FOR:
                    self.log.critical("The hub does not take this server: %s", error)
                    self.exit(1)
                self.log.warning("The hub did not take the report yet: %s", error)
            await asyncio.sleep(pause)
            waited += pause
            pause = min(2 * pause, 5.0)


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    return [{"module": __name__, "app": ShopfloorSingleUser}]


def private_runtime_directory() -> Path:
    """A directory on this node for sockets and connection files, for us alone, removed when we end.

    Jupyter's default lies in the home directory: sockets do not work on every network file system, and the
    path of a socket must be shorter than 108 bytes (unix(7)).
    """
    path = Path(tempfile.mkdtemp(prefix="shopfloor-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


def link_shared_folders(home: Path, folders: dict[str, str]) -> None:
    """Make the groups' folders appear in Lab's files as ``Shared/<name>``; what a person put there stays."""
    if not folders:
        return
    shared = home / "Shared"
    shared.mkdir(exist_ok=True)
    for name, target in folders.items():
        link = shared / Path(name).name
        if link.is_symlink() and str(link.readlink()) != target:
            link.unlink()
        if not link.exists() and not link.is_symlink():
            link.symlink_to(target)


def server_arguments(argv: list[str]) -> list[str]:
    """What must hold whatever a person's own configuration says, so it stands on the command line.

    The port, for JupyterHub's extension turns port 0 of its service URL into 80; and kernels on ipc, for
    their TCP ports are signed but not encrypted, and a neighbour on the node could read along.
    """
    root = ["--ServerApp.allow_root=True"] if os.getuid() == 0 else []
    return ["--ServerApp.port=0", "--KernelManager.transport=ipc", *root, *argv]


def use_own_contexts() -> None:
    """Let JupyterHub's part of the server make its contexts with ours, for the reasons that stand there.

    Exits where the hub means the server to be encrypted and no certificate has come with the job.
    """
    encrypted = os.environ.get("JUPYTERHUB_SERVICE_URL", "").startswith("https:")
    if encrypted and not os.environ.get("JUPYTERHUB_SSL_CERTFILE"):
        sys.exit("This job was given no certificate: is shopfloor-helper older than the hub?")
    for module in (auth, extension):
        module.make_ssl_context = context_for_jupyterhub


def main(argv: list[str] | None = None) -> Any:
    os.umask(0o077)
    use_own_contexts()
    os.environ["JUPYTER_RUNTIME_DIR"] = str(private_runtime_directory())
    try:
        link_shared_folders(
            Path.home(), json.loads(os.environ.get("SHOPFLOOR_SHARED_FOLDERS", "{}"))
        )
    except (OSError, ValueError) as error:
        print(f"The shared folders could not be linked: {error}", file=sys.stderr)
    return ShopfloorSingleUser.launch_instance(
        server_arguments(sys.argv[1:] if argv is None else argv)
    )


if __name__ == "__main__":
    main()
