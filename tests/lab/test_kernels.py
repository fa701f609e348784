"""Which Python a cluster may run in: kernelspecs read, interpreters asked, whatever they do, and answers kept."""

from __future__ import annotations

import ast
import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest
from shopfloor_jobs.fields import Refused
from shopfloor_lab.clusters import inspecting
from shopfloor_lab.clusters.carried import carry, code, with_code
from shopfloor_lab.clusters.inspecting import Interpreters, NoVersions, parse
from shopfloor_lab.clusters.kernels import Kernels, kernels_of
from shopfloor_lab.clusters.versions import NEEDED

from tests.jobs.waiting import async_wait_until

from .kernel_parts import make_environment, spec, write_program

PATH = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "LANG": "C.UTF-8"}
TOKEN = "a-token-that-no-job-may-get"
ANSWER = {"versions": {"python": "3.8.20", "dask": "2023.5.0"}, "prefix": "/old"}
ANSWER |= {"executable": "/old/python", "paths": []}
OLD = f"echo 'python/3.8 is loaded'; echo '{inspecting.MARK}{json.dumps(ANSWER)}'"


def kernels(default: str = "usual", timeout: float = 20, **specs: Mapping[str, Any]) -> Kernels:
    async def listed() -> dict[str, Any]:
        return {
            name: {"resource_dir": f"/kernels/{name}", "spec": one} for name, one in specs.items()
        }

    environment = {**PATH, "JUPYTERHUB_API_TOKEN": TOKEN}
    return Kernels(environment, listed, lambda: default, Interpreters(timeout))


@pytest.mark.parametrize(
    ("argv", "python"),
    [
        (["python", "-m", "ipykernel_launcher", "-f", "{connection_file}"], [sys.executable]),
        (["python3", "-m", "ipykernel", "-f", "x"], [sys.executable]),
        (
            ["python", "-Xfrozen_modules=off", "-m", "ipykernel_launcher", "-f", "x"],
            [sys.executable, "-Xfrozen_modules=off"],
        ),
        (["/bin/sh", "-m", "ipykernel_launcher"], ["/bin/sh"]),
        (["env", "-m", "ipykernel_launcher"], ["/usr/bin/env"]),
        (["{resource_dir}/bin/env", "-m", "ipykernel_launcher"], ["/usr/bin/env"]),
        (["env", "{prefix}", "-m", "ipykernel_launcher"], ["/usr/bin/env", sys.prefix]),
    ],
)
def test_a_kernels_python_is_what_stands_before_ipykernel(
    argv: list[str], python: list[str]
) -> None:
    found = kernels_of(
        {"k": {"resource_dir": "/usr", "spec": {"argv": argv, "language": "python"}}},
        {"PATH": "/usr/bin:/bin"},
    )
    assert (found[0].python, found[0].trouble) == (tuple(python), "")


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        (["/opt/xeus/bin/xpython", "-f", "{connection_file}"], "nobody can tell which Python"),
        (["bash", "-c", "exec python -m ipykernel_launcher"], "nobody can tell which Python"),
        (["-m", "ipykernel_launcher"], "nobody can tell which Python"),
        ([], "nobody can tell which Python"),
        (["/gone/bin/python", "-m", "ipykernel_launcher"], "/gone/bin/python is not there"),
        (["/etc/passwd", "-m", "ipykernel_launcher"], "/etc/passwd is not there"),
        (["bin/python", "-m", "ipykernel_launcher"], "bin/python is not there"),
        (["python9", "-m", "ipykernel_launcher"], "python9 is not there"),
    ],
)
async def test_a_kernel_that_no_cluster_can_run_in_is_listed_with_the_reason(
    argv: list[str], why: str
) -> None:
    some = kernels(odd={"argv": argv, "language": "python", "display_name": "Odd"})
    (shown,) = await some.to_json()
    assert why in shown["disabled"]
    with pytest.raises(Refused) as refused:
        await some.check("odd")
    assert refused.value.field == "kernel" and why in str(refused.value)


async def test_kernels_of_python_are_listed_the_usual_one_first() -> None:
    some = kernels(
        default="b",
        a=spec("python", label="A"),
        b=spec("python", label="B"),
        r={"argv": ["R"], "language": "R", "display_name": "R"},
    )
    assert [(one["name"], one["default"]) for one in await some.to_json()] == [
        ("b", True),
        ("a", False),
    ]


async def test_without_a_kernel_of_python_the_servers_own_serves() -> None:
    some = kernels(r={"argv": ["R"], "language": "R", "display_name": "R"})
    checked = await some.check(None)
    assert checked.own and checked.kernel.python == (sys.executable,)


async def test_a_usual_kernel_that_cannot_be_had_gives_way() -> None:
    some = kernels(usual=spec("/gone/python"), other=spec("python"))
    assert (await some.check(None)).kernel.name == "other"


def test_a_kernels_variables_are_filled_in_from_what_jobs_get_and_never_with_a_token() -> None:
    env = {"PATH": "/opt/x/bin:${PATH}", "N": 4, "T": "${JUPYTERHUB_API_TOKEN}", "S": "a$$b"}
    some = kernels(k=spec("python", env=env))
    found = asyncio.run(some.get("k"))
    assert found.env["PATH"] == f"/opt/x/bin:{PATH['PATH']}"
    assert (found.env["N"], found.env["S"]) == ("4", "a$b")
    assert TOKEN not in str(found)


@pytest.mark.parametrize("name", ["nope", 7, ["usual"], "", "usua"])
async def test_what_is_no_kernel_is_refused_by_name(name: Any) -> None:
    with pytest.raises(Refused) as refused:
        await kernels(usual=spec("python")).check(name)
    assert refused.value.field == "kernel" and "usual" in refused.value.limit
    with pytest.raises(Refused) as refused:
        await kernels(usual=spec("python")).check("usual", name)
    assert refused.value.field == "notebook"


async def test_another_environment_is_held_against_the_notebooks(tmp_path: Path) -> None:
    other = make_environment(tmp_path / "other", pandas="2.3.3", numpy="1.26.4")
    some = kernels(usual=spec("python", label="Usual"), other=spec(other, label="Other"))
    same = await some.check("other")
    assert (same.refusal, same.notes, same.own) == ("", (), False)
    checked = await some.check("other", "usual")
    (note,) = checked.notes
    assert checked.refusal == ""
    assert "pandas: " in note and "2.3.3 on the workers (“Other”)" in note
    assert "1.26.4" in note and "in the notebook (“Usual”)" in note
    assert "distributed" not in note


async def test_what_cannot_be_read_is_a_refusal_that_names_both_versions(tmp_path: Path) -> None:
    other = make_environment(tmp_path / "other", distributed="2025.1.0", pandas="2.3.3")
    some = kernels(usual=spec("python", label="Usual"), other=spec(other, label="Other"))
    checked = await some.check("other", "usual")
    ours = (await some.check("usual")).inspected.versions["distributed"]
    assert f"distributed: {ours} in the notebook" in checked.refusal
    assert "2025.1.0 on the workers" in checked.refusal
    assert "pandas" not in checked.refusal and "pandas" in checked.notes[0]


async def test_an_environment_without_dask_is_refused_with_what_to_install(tmp_path: Path) -> None:
    bare = make_environment(
        tmp_path / "bare", lacking=True, distributed="2026.8.0", dask="2026.8.0"
    )
    with pytest.raises(Refused) as refused:
        await kernels(bare=spec(bare)).check("bare")
    assert f"{bare} -m pip install dask-jobqueue cryptography" in str(refused.value.limit)


async def test_a_python_that_is_too_old_is_refused_whatever_else_it_prints(tmp_path: Path) -> None:
    old = write_program(tmp_path / "python", OLD)
    with pytest.raises(Refused) as refused:
        await kernels(old=spec(old)).check("old")
    assert "Python 3.8.20" in str(refused.value) and "3.10 or newer" in str(refused.value)


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo lua: no such option >&2; exit 3", "exit code 3: lua: no such option"),
        ("echo hello", "did not answer as a Python does"),
        ("echo 'shopfloor-versions:[1]'", "did not answer as a Python does"),
        ("exit 9", "exit code 9: it printed no reason"),
        ("kill -SEGV $$", "failed with exit code -11"),
        ("head -c 40000000 /dev/zero", "did not answer as a Python does"),
    ],
)
async def test_an_interpreter_that_fails_says_how(tmp_path: Path, script: str, why: str) -> None:
    odd = write_program(tmp_path / "python", script)
    with pytest.raises(Refused) as refused:
        await kernels(odd=spec(odd)).check("odd")
    assert refused.value.field == "kernel" and why in str(refused.value.limit)


async def test_an_interpreter_that_hangs_is_given_up_with_all_that_it_started(
    tmp_path: Path,
) -> None:
    pids = tmp_path / "pids"
    hanging = write_program(tmp_path / "python", f"sleep 600 & echo $$ $! > {pids}; wait")
    began = time.monotonic()
    asking = asyncio.create_task(kernels(timeout=0.5, hanging=spec(hanging)).check("hanging"))
    # The event loop goes on meanwhile.
    await async_wait_until(pids.exists, 20, "it was started")
    with pytest.raises(Refused, match="did not say within"):
        await asking
    assert time.monotonic() - began < 5
    started = [int(pid) for pid in pids.read_text().split()]

    def gone() -> bool:
        return not any(psutil.pid_exists(pid) and _runs(pid) for pid in started)

    await async_wait_until(gone, 20, "nothing is left of it")


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def test_what_outlives_its_interpreter_does_not_hold_the_answer_up_for_long(
    tmp_path: Path,
) -> None:
    """A wrapper may leave a program behind that keeps the output open."""
    odd = write_program(tmp_path / "python", f'sleep 600 & {sys.executable} "$@"')
    began = time.monotonic()
    with pytest.raises(NoVersions, match="did not say within"):
        await Interpreters(timeout=1).ask([str(odd)], PATH)
    assert time.monotonic() - began < 6


async def test_however_much_is_printed_only_its_end_is_kept_and_the_answer_is_found(
    tmp_path: Path,
) -> None:
    noisy = write_program(
        tmp_path / "python", f'head -c 3000000 /dev/zero; echo; exec {sys.executable} "$@"'
    )
    assert (await Interpreters().ask([str(noisy)], PATH)).prefix == sys.prefix
    stream = asyncio.StreamReader()
    stream.feed_data(b"x" * 3_000_000 + b"end")
    stream.feed_eof()
    kept = await inspecting._tail(stream)
    assert len(kept) == inspecting.OUTPUT_LIMIT and kept.endswith("xend")


async def test_an_answer_serves_until_a_package_is_installed(tmp_path: Path) -> None:
    count = tmp_path / "count"
    environment = make_environment(tmp_path / "env")
    wrapper = write_program(tmp_path / "python", f'echo . >> {count}; exec {environment} "$@"')
    interpreters = Interpreters()
    command = [str(wrapper)]
    await asyncio.gather(*(interpreters.ask(command, PATH) for _ in range(5)))
    assert "pandas" in (await interpreters.ask(command, PATH)).versions
    assert count.read_text().split() == ["."], "asked once for all that ask at the same time"
    (packages,) = (tmp_path / "env").glob("lib/*/site-packages")
    info = packages / "pandas-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: pandas\nVersion: 0.1\n")
    assert (await interpreters.ask(command, PATH)).versions["pandas"] == "0.1"
    await interpreters.ask(command, {**PATH, "PYTHONPATH": "/elsewhere"})
    assert len(count.read_text().split()) == 3, "another environment is another question"


async def test_the_interpreter_is_asked_where_no_file_of_the_persons_is_taken_for_a_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('mine')")
    monkeypatch.chdir(tmp_path)
    assert (await Interpreters().ask([sys.executable], PATH)).versions["python"]


def test_only_the_last_marked_line_counts() -> None:
    line = '{"versions": {"python": "3.11.2", "numpy": null}, "prefix": "/p", "executable": "/p/x", "paths": []}'
    found = parse(f"hello\n{inspecting.MARK}nonsense\n{inspecting.MARK}{line}\n")
    assert (dict(found.versions), found.prefix) == ({"python": "3.11.2"}, "/p")


def test_our_code_is_carried_whole_and_mended_where_it_was_damaged(tmp_path: Path) -> None:
    folder = carry(tmp_path)
    assert carry(tmp_path) == folder
    assert folder.stat().st_mode & 0o077 == 0
    assert {str(path.relative_to(folder)) for path in folder.rglob("*.py")} == set(code())
    assert sorted(path.name for path in folder.iterdir()) == ["shopfloor_jobs", "shopfloor_lab"]
    (folder / "shopfloor_jobs" / "runner.py").write_text("")
    (folder / "shopfloor_lab" / "__init__.py").unlink()
    assert carry(tmp_path) == folder
    assert (folder / "shopfloor_jobs" / "runner.py").stat().st_size > 1000
    assert (folder / "shopfloor_lab" / "__init__.py").exists()
    assert [path.name for path in folder.parent.iterdir()] == [folder.name], "nothing half-made"


@pytest.mark.parametrize(
    ("env", "inherited", "path"),
    [({}, "", "/code"), ({}, "/lab", "/code:/lab"), ({"PYTHONPATH": "/own"}, "/lab", "/code:/own")],
)
def test_our_code_comes_first_on_the_path(env: dict[str, str], inherited: str, path: str) -> None:
    assert with_code(env, inherited, Path("/code")) == {"PYTHONPATH": path}


def test_what_is_carried_imports_nothing_but_what_is_asked_for(tmp_path: Path) -> None:
    """An interpreter that has only those packages (and theirs) can import what jobs and notebooks do."""
    source = (
        "import sys\n"
        "import dask, distributed, dask_jobqueue, cryptography.x509\n"
        "from cryptography.hazmat.primitives.asymmetric import ec\n"
        "before = set(sys.modules)\n"
        "import shopfloor_lab.clusters.controller, shopfloor_lab.clusters.silent, shopfloor_lab.clusters.cluster\n"
        "new = {name.split('.')[0] for name in set(sys.modules) - before}\n"
        "print(sys.modules['shopfloor_jobs'].__file__)\n"
        "print(sorted(new - set(sys.stdlib_module_names)))"
    )
    environment = make_environment(tmp_path / "env")
    folder = carry(tmp_path)
    ran = subprocess.run(
        [environment, "-c", source],
        env={**PATH, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        cwd="/",
        timeout=60,
        check=False,
    )
    where, modules = ran.stdout.splitlines() or ("", ran.stderr)
    assert where.startswith(str(folder))
    allowed = {*NEEDED.values(), "shopfloor_jobs", "shopfloor_lab"}
    assert set(ast.literal_eval(modules)) - allowed == set()
