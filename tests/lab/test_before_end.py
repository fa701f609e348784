"""What a notebook wants done before its kernel's job ends, with real kernels in every state that one can be in."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import shopfloor_lab
from jupyter_client.asynchronous import AsyncKernelClient
from shopfloor_lab.kernels.before_end import BeforeEnd
from shopfloor_lab.kernels.order import CHANNELS, Launch
from shopfloor_lab.kernels.process import Kernel

from tests.jobs.waiting import async_wait_until

from .kernel_parts import make_environment, write_program

SAVE = """
import shopfloor, time

@shopfloor.before_end
def save():
    with open('saved', 'a') as file:
        print('save', file=file)
"""
# Neither looks at signals: the one never ends, the other takes a second.
FOREVER_IN_C = "from collections import deque; from itertools import repeat; deque(repeat(None), 0)"
A_WHILE_IN_C = (
    "from collections import deque; from itertools import repeat; deque(repeat(None, 10**9), 0)"
)
SECONDS = 20.0


class Notebook:
    """A kernel as an agent runs it, and its notebook; ``reports`` is what became of the end, in turn."""

    def __init__(self, inside: Path, home: Path, argv: list[str] | None = None):
        self.inside, self.home = inside, home
        self.argv = argv or [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        self.reports: list[tuple[str, str]] = []
        self.before_end = BeforeEnd(inside, home, self._note)
        connection = {
            "transport": "ipc",
            "ip": str(inside / "kernel"),
            "key": "a-key",
            "signature_scheme": "hmac-sha256",
            **{f"{channel}_port": number for number, channel in enumerate(CHANNELS, 1)},
        }
        self.kernel = Kernel(inside, connection, lambda: None)

    async def __aenter__(self) -> Notebook:
        await self.start()
        return self

    async def start(self, **env: str) -> None:
        launch = Launch(self.argv, env, str(self.home))
        await self.kernel.start(self.before_end.launch(launch, os.environ))
        self.client = AsyncKernelClient()
        self.client.load_connection_file(str(self.inside / "connection.json"))
        # A client without a manager takes a kernel that is busy for a second, as in its first one, for dead.
        self.client.hb_channel.time_to_dead = SECONDS
        self.client.start_channels()
        await self.client.wait_for_ready(timeout=30)

    async def __aexit__(self, *_: object) -> None:
        self.client.stop_channels()
        await self.kernel.end()

    async def run(self, code: str) -> str:
        """What a cell printed, or the error that it had."""
        printed: list[str] = []
        reply = await self.client.execute_interactive(
            code,
            timeout=30,
            output_hook=lambda message: printed.append(message["content"].get("text", "")),
        )
        return reply["content"].get("evalue") or "".join(printed)

    async def begin(self, code: str) -> None:
        self.client.execute(f"open('begun', 'w').close()\n{code}")
        await async_wait_until((self.home / "begun").exists, 20, "the cell runs")

    async def end(self, seconds: float = SECONDS) -> tuple[str, str]:
        await self.before_end.run(self.kernel.pid, seconds)
        return self.reports[-1] if self.reports else ("", "")

    def saved(self) -> list[str]:
        file = self.home / "saved"
        return file.read_text().splitlines() if file.exists() else []

    def _note(self) -> None:
        report = self.before_end.report
        assert report is not None
        self.reports.append((report["state"], report["text"]))


Open = Callable[..., Awaitable[Notebook]]


@pytest.fixture
async def notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Notebook]:
    monkeypatch.delenv("PYTHONPATH", raising=False)
    inside, home = tmp_path / "inside", tmp_path / "home"
    inside.mkdir()
    home.mkdir()
    async with Notebook(inside, home) as one:
        yield one


WAYS = {
    "idle": "",
    "busy": "while True: pass",
    "asleep": "time.sleep(60)",
    "waiting for a program": "import subprocess; subprocess.run(['sleep', '60'])",
    "waiting for a thread": "import threading; threading.Event().wait()",
}


@pytest.mark.parametrize("code", WAYS.values(), ids=WAYS)
async def test_it_is_done_whatever_python_does(notebook: Notebook, code: str):
    await notebook.run(SAVE)
    if code:
        await notebook.begin(code)
    assert await notebook.end() == ("done", "save: done in 0 s")
    assert notebook.saved() == ["save"]


async def test_a_cell_in_whose_midst_it_is_done_goes_on(notebook: Notebook):
    await notebook.run(SAVE)
    await notebook.begin("import os\nwhile not os.path.exists('go'): pass\nkept = 36")
    assert (await notebook.end())[0] == "done"
    (notebook.home / "go").touch()
    assert await notebook.run("print(kept)") == "36\n"


async def test_a_call_into_compiled_code_holds_it_and_that_is_said(notebook: Notebook):
    await notebook.run(SAVE)
    await notebook.begin(FOREVER_IN_C)
    state, text = await notebook.end(3)
    assert state == "held" and "compiled code" in text
    assert notebook.saved() == []


async def test_what_was_held_is_done_when_the_call_returns(
    notebook: Notebook, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("shopfloor_lab.kernels.before_end.HELD_AFTER", 0.1)
    await notebook.run(SAVE)
    await notebook.begin(A_WHILE_IN_C)
    assert (await notebook.end(60))[0] == "done"
    assert "held" in [state for state, _ in notebook.reports]
    assert notebook.saved() == ["save"]


async def test_all_are_done_in_their_order_and_each_failure_is_told(notebook: Notebook):
    await notebook.run(SAVE)
    await notebook.run("@shopfloor.before_end\ndef upload(): raise OSError('no\\nway')")
    await notebook.run("@shopfloor.before_end\ndef leave(): raise SystemExit(3)")
    await notebook.run("shopfloor.before_end(lambda: open('saved', 'a').write('last\\n'))")
    state, text = await notebook.end()
    assert state == "failed"
    assert text == (
        "save: done in 0 s; upload failed: OSError: no way; leave failed: SystemExit: 3;"
        " <lambda>: done in 0 s"
    )
    assert notebook.saved() == ["save", "last"]
    assert await notebook.run("print('lives')") == "lives\n"


async def test_what_is_told_is_bounded(notebook: Notebook):
    await notebook.run("import shopfloor\ndef fail(): raise ValueError('x' * 10**6)")
    await notebook.run("for _ in range(50): shopfloor.before_end(lambda: fail())")
    state, text = await notebook.end()
    assert state == "failed" and len(text) == 1000 and len(text.split("; ")[0]) == 200


async def test_methods_of_two_objects_and_what_a_function_makes_are_each_done(notebook: Notebook):
    await notebook.run(
        """
import shopfloor
class Model:
    def __init__(self, name): self.name = name
    def save(self): print(self.name, file=open('saved', 'a'))
class Odd:
    def __call__(self): print('odd', file=open('saved', 'a'))
    def __repr__(self): raise ValueError('no words')
def saver(name):
    def save(): print(name, file=open('saved', 'a'))
    return save
generator, discriminator = Model('generator'), Model('discriminator')
for function in (generator.save, discriminator.save, generator.save, saver('a'), saver('b'), Odd()):
    shopfloor.before_end(function)
"""
    )
    state, text = await notebook.end()
    assert state == "done" and text.endswith("Odd: done in 0 s")
    assert notebook.saved() == ["generator", "discriminator", "a", "b", "odd"]


async def test_it_is_done_for_a_notebook_that_cleared_its_environment(notebook: Notebook):
    await notebook.run(SAVE)
    await notebook.run("import os; os.environ.clear()")
    assert (await notebook.end())[0] == "done"
    assert notebook.saved() == ["save"]


async def test_a_cell_that_is_run_again_takes_its_own_place(notebook: Notebook):
    await notebook.run(SAVE)
    await notebook.run(SAVE.replace("'save'", "'save anew'"))
    await notebook.end()
    assert notebook.saved() == ["save anew"]


async def test_a_second_end_does_it_once_unless_the_first_was_called_off(notebook: Notebook):
    await notebook.run(SAVE)
    await notebook.end()
    await notebook.end()
    assert notebook.saved() == ["save"]
    notebook.before_end.forget()
    await notebook.end()
    assert notebook.saved() == ["save", "save"]


async def test_what_takes_too_long_is_given_up(notebook: Notebook):
    await notebook.run("import shopfloor, time\n@shopfloor.before_end\ndef save(): time.sleep(60)")
    assert await notebook.end(1) == ("failed", "save (1 of 1) was not done within 1 s")


async def test_a_kernel_that_dies_of_it_is_told(notebook: Notebook):
    await notebook.run("import shopfloor, os\n@shopfloor.before_end\ndef save(): os.abort()")
    # It is seen: nobody waits until the time is over.
    ending = asyncio.create_task(notebook.end(3600))
    assert await asyncio.wait_for(ending, 20) == ("failed", "the kernel ended meanwhile")


async def test_a_restart_meanwhile_is_not_told_as_a_failure(notebook: Notebook):
    await notebook.run("import shopfloor, time\n@shopfloor.before_end\ndef save(): time.sleep(60)")
    ending = asyncio.create_task(notebook.end(3600))
    await async_wait_until(lambda: len(notebook.reports) > 1, 10, "it is being saved")
    notebook.client.stop_channels()
    notebook.before_end.forget()
    await notebook.kernel.end()
    await asyncio.wait_for(ending, 10)
    assert {state for state, _ in notebook.reports} == {"running"}


async def test_a_kernel_that_wants_nothing_gets_no_signal(notebook: Notebook):
    await notebook.run("import shopfloor")
    assert not notebook.before_end.wanted(notebook.kernel.pid)
    assert await notebook.end() == ("", "")
    assert await notebook.run("print('lives')") == "lives\n"


async def test_a_kernel_that_took_its_handler_away_gets_no_signal(notebook: Notebook):
    await notebook.run(SAVE + "\nimport signal; signal.signal(signal.SIGUSR1, signal.SIG_DFL)")
    assert await notebook.end() == ("", "")
    assert await notebook.run("print('lives')") == "lives\n"


async def test_only_the_kernel_itself_is_asked_not_what_it_started(notebook: Notebook):
    child = f"import sys; sys.stdin.read(1)\n{SAVE}\nprint(1, flush=True); sys.stdin.read(1)"
    await notebook.run(
        "import subprocess, sys\n"
        f"child = subprocess.Popen([sys.executable, '-c', {child!r}], stdin=-1, stdout=-1)\n"
        "child.stdin.write(b'1'); child.stdin.flush(); child.stdout.read(1)"
    )
    assert not notebook.before_end.wanted(notebook.kernel.pid)
    await notebook.run(SAVE)
    await notebook.end()
    assert notebook.saved() == ["save"]


async def test_a_restart_forgets_it(notebook: Notebook):
    await notebook.run(SAVE)
    assert notebook.before_end.wanted(notebook.kernel.pid)
    notebook.client.stop_channels()
    await notebook.kernel.end()
    await notebook.start()
    assert not notebook.before_end.wanted(notebook.kernel.pid)


async def test_it_works_without_our_packages_and_behind_a_wrapper(tmp_path: Path):
    python = await asyncio.to_thread(make_environment, tmp_path / "theirs")
    inside, home = tmp_path / "inside", tmp_path / "home"
    inside.mkdir()
    home.mkdir()
    wrapper = tmp_path / "wrapper"
    write_program(wrapper, f'"{python}" -m ipykernel_launcher -f "$1"; exit $?')
    async with Notebook(inside, home, [str(wrapper), "{connection_file}"]) as notebook:
        assert "No module" in await notebook.run("import shopfloor_lab")
        await notebook.run(SAVE)
        assert (await notebook.end())[0] == "done"
        assert notebook.saved() == ["save"]


async def test_no_path_of_python_leads_where_a_neighbour_could_put_something(notebook: Notebook):
    added = await notebook.run("import os; print(os.environ['PYTHONPATH'])")
    assert Path(added.strip()).parent == notebook.home
    mode = await asyncio.to_thread(Path(added.strip()).stat)
    assert oct(mode.st_mode & 0o777) == "0o700"


async def test_nothing_of_the_persons_is_hidden(notebook: Notebook, tmp_path: Path):
    notebook.client.stop_channels()
    await notebook.kernel.end()
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "shopfloor.py").write_text("mine = 36")
    await notebook.start(PYTHONPATH=str(theirs))
    assert await notebook.run("import shopfloor; print(shopfloor.mine)") == "36\n"


@pytest.mark.parametrize("wrong", ["3", "wait"], ids=["no function", "a coroutine's"])
async def test_what_cannot_be_called_is_refused_at_once(notebook: Notebook, wrong: str):
    await notebook.run("import shopfloor\nasync def wait(): pass")
    assert "can be called" in await notebook.run(f"shopfloor.before_end({wrong})")


async def test_shopfloor_lab_has_it_too(notebook: Notebook):
    await notebook.run(SAVE)
    await notebook.run(
        "import shopfloor_lab\n"
        "@shopfloor_lab.before_end\ndef more(): open('saved', 'a').write('more\\n')"
    )
    await notebook.end()
    assert notebook.saved() == ["save", "more"]


@pytest.mark.parametrize("notes", [None, "/no/such/node's", "/proc/1"])
def test_where_a_kernel_is_no_job_that_is_said(monkeypatch: pytest.MonkeyPatch, notes: str | None):
    monkeypatch.delenv("SHOPFLOOR_BEFORE_END", raising=False)
    if notes:
        monkeypatch.setenv("SHOPFLOOR_BEFORE_END", notes)
        monkeypatch.setattr(os, "getuid", lambda: 4711)
    with pytest.warns(UserWarning, match="has no job of its own"):
        assert shopfloor_lab.before_end(print) is print
