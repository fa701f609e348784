"""The routes under ``shopfloor/api`` for kernels that are jobs; managers.py starts and ends them, board.py lists them.

Interrupt and restart are Jupyter's own routes, by the same ids.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from time import time

from jupyter_server.services.sessions.sessionmanager import SessionManager
from shopfloor_jobs.fields import Refused

from shopfloor_lab.answering import JsonHandler, for_the_person
from shopfloor_lab.errors import Conflict

from .form import KernelForm
from .managers import JobKernels

FIELDS = {"name", "request", "path"}
NOTEBOOK = ".ipynb"


class KernelHandler(JsonHandler):
    """``kernels``, ``form`` and ``sessions`` are the server's only ones. Who may not use kernels may not do so here."""

    auth_resource = "kernels"

    def initialize(self, kernels: JobKernels, form: KernelForm, sessions: SessionManager) -> None:
        self.kernels, self.form, self.sessions = kernels, form, sessions


class JobKernelsHandler(KernelHandler):
    """All of them; POST asks for one."""

    @for_the_person
    async def get(self) -> None:
        await self.kernels.adopt()
        self.finish({"kernels": self.kernels.board.rows(), "server_time": time()})

    @for_the_person
    async def post(self) -> None:
        body = self.body()
        if unknown := sorted(set(body) - FIELDS):
            raise Refused(str(unknown[0])[:64], "", f"one of {', '.join(sorted(FIELDS))}")
        name, chosen, path = body.get("name"), body.get("request") or {}, body.get("path", "")
        if not isinstance(path, str):
            raise Refused("path", path, "a path below the files of this server")
        await self.form.check(name, chosen)
        kernel_id = await self.kernels.start_kernel(
            kernel_name=name, path=path, env=self._environment(path), chosen=chosen
        )
        self.set_status(201)
        self.finish(self.kernels.board.row(kernel_id))

    def _environment(self, path: str) -> dict[str, str]:
        """As Jupyter sets it for a document; a folder is none."""
        document = PurePosixPath(path)
        name = document.name if document.suffix == NOTEBOOK else None
        return self.sessions.get_kernel_env(path, name)


class JobKernelHandler(KernelHandler):
    """One of them; DELETE cancels or ends it, and takes one that has ended off the list.

    With ``living=true`` that is refused, for how it ended and what it printed are to be read.
    """

    @for_the_person
    async def get(self, kernel: str) -> None:
        self.finish(self.kernels.board.row(kernel))

    @for_the_person
    async def patch(self, kernel: str) -> None:
        if self.body() != {"keep": True}:
            raise Refused("body", sorted(self.body()), "one field: keep, which is true")
        await self.kernels.board.keep(kernel)
        self.finish(self.kernels.board.row(kernel))

    @for_the_person
    async def delete(self, kernel: str) -> None:
        entry = self.kernels.board.entry(kernel)
        if not entry.cause and kernel in self.kernels:
            await self.kernels.shutdown_kernel(kernel)
        elif entry.cause and self.get_query_argument("living", "") == "true":
            raise Conflict(f"It has ended meanwhile: {entry.cause}")
        else:
            await self.kernels.board.remove(kernel)
            if kernel in self.kernels:
                await self.kernels.shutdown_kernel(kernel)
        self.set_status(204)
        self.finish()


class RunsHandler(KernelHandler):
    """What the last run of each cell printed, whoever listened; at most some megabytes. DELETE says that the notebook
    has it, and is saved, of a kernel that has ended."""

    @for_the_person
    async def get(self, kernel: str) -> None:
        self.finish({"runs": await self.kernels.board.runs(kernel)})

    @for_the_person
    async def delete(self, kernel: str) -> None:
        await self.kernels.board.saved(kernel)
        self.set_status(204)
        self.finish()


class FormHandler(KernelHandler):
    """Everything that the dialog is drawn from."""

    @for_the_person
    async def get(self) -> None:
        self.finish(await self.form.open())


class OutlookHandler(KernelHandler):
    """A POST, for each may be a question to the scheduler."""

    @for_the_person
    async def post(self) -> None:
        body = self.body()
        if set(body) - {"request"}:
            raise Refused("body", sorted(body), "the one field request")
        self.finish(await self.form.outlook(body.get("request")))


def routes() -> list[tuple[str, type[KernelHandler]]]:
    """Paths (regular expressions) below ``shopfloor/api/``, and who answers there."""
    one = r"job-kernels/([^/]+)"
    return [
        ("job-kernels", JobKernelsHandler),
        ("job-kernels/form", FormHandler),
        ("job-kernels/outlook", OutlookHandler),
        (one, JobKernelHandler),
        (f"{one}/runs", RunsHandler),
    ]
