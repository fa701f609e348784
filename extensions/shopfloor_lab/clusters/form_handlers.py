"""The routes under ``shopfloor/api`` that the start form of a cluster asks; see form.py, kernels.py and presets.py."""

from __future__ import annotations

from shopfloor_jobs.fields import Refused

from shopfloor_lab.answering import for_the_person

from .form import Form
from .handlers import Handler


class FormHandler(Handler):
    """``form`` is the server's only one."""

    def initialize(self, form: Form) -> None:
        self.form = form


class OpenHandler(FormHandler):
    """Everything that the form is drawn from."""

    @for_the_person
    async def get(self) -> None:
        self.finish(await self.form.open())


class KernelsHandler(FormHandler):
    @for_the_person
    async def get(self) -> None:
        self.finish({"kernels": await self.form.kernels.to_json()})


class KernelHandler(FormHandler):
    """The versions of a kernel, held against those of the notebook's kernel that ``notebook`` names."""

    @for_the_person
    async def get(self, kernel: str) -> None:
        notebook = self.get_query_argument("notebook", None)
        self.finish((await self.form.kernels.check(kernel, notebook)).to_json())


class OutlookHandler(FormHandler):
    """A POST, for each may be a question to the scheduler."""

    @for_the_person
    async def post(self) -> None:
        self.finish(await self.form.outlook(self.body()))


class ScriptHandler(FormHandler):
    """The jobs that a start with this body would submit."""

    @for_the_person
    async def post(self) -> None:
        self.finish(await self.form.script(self.body()))


class PresetHandler(FormHandler):
    @for_the_person
    async def put(self, name: str) -> None:
        body = self.body()
        if set(body) != {"request"}:
            raise Refused("body", sorted(body), "the one field request")
        try:
            self.finish(await self.form.presets.save(name, body["request"]))
        except OSError as error:
            self.fail(503, f"Your presets cannot be written: {error.strerror}")

    @for_the_person
    async def delete(self, name: str) -> None:
        try:
            await self.form.presets.delete(name)
        except OSError as error:
            self.fail(503, f"Your presets cannot be written: {error.strerror}")
            return
        self.set_status(204)
        self.finish()


def routes() -> list[tuple[str, type[FormHandler]]]:
    """Paths (regular expressions) below ``shopfloor/api/``, and who answers there."""
    return [
        ("form", OpenHandler),
        ("form/outlook", OutlookHandler),
        ("form/script", ScriptHandler),
        (r"form/presets/([^/]+)", PresetHandler),
        ("kernels", KernelsHandler),
        (r"kernels/([^/]+)", KernelHandler),
    ]
