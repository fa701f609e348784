"""Puts the example notebooks (examples/) among the person's files, for the launcher's card."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from tornado import web

FOLDER = "shopfloor-examples"
EXAMPLES = Path(__file__).parent / "examples"


class ExamplesHandler(APIHandler):
    """``root`` is the folder that Lab's file browser shows at its top."""

    auth_resource = "shopfloor"

    def initialize(self, root: Path) -> None:
        self.root = root

    @web.authenticated
    @authorized
    async def get(self) -> None:
        self.finish({"path": FOLDER})

    @web.authenticated
    @authorized
    async def post(self) -> None:
        try:
            first = await asyncio.to_thread(copy_examples, EXAMPLES, self.root / FOLDER)
        except OSError as error:
            self.set_status(409)
            message = f"The examples cannot be put into {FOLDER}: {error.strerror}."
            self.finish({"message": message, "field": None})
        else:
            self.finish({"path": f"{FOLDER}/{first}"})


def copy_examples(source: Path, target: Path) -> str:
    """Copy what is not there yet, and return the first notebook's name. Raises OSError.

    A file that is there may have been worked on, so it is never written again: who wants the original back
    renames it or removes it.
    """
    target.mkdir(exist_ok=True)
    files = sorted(
        path for path in source.iterdir() if path.is_file() and not path.name.startswith((".", "_"))
    )
    for path in files:
        with contextlib.suppress(FileExistsError), (target / path.name).open("xb") as copy:
            copy.write(path.read_bytes())
    return next(path.name for path in files if path.suffix == ".ipynb")
