"""The set-up of .venv: it goes on where it was interrupted, and says in a sentence what is in its way."""

from __future__ import annotations

import ast
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "hub_config" / "bootstrap.py"


@pytest.fixture
def bootstrap(tmp_path, monkeypatch) -> ModuleType:
    """The module, with a checkout and a .venv of its own to work on."""
    spec = importlib.util.spec_from_file_location("bootstrap_under_test", SOURCE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name, path in (("ROOT", tmp_path), ("VENV", tmp_path / ".venv"), ("BIN", tmp_path / "bin")):
        monkeypatch.setattr(module, name, path)
    monkeypatch.setattr(module, "LOG", tmp_path / ".venv" / "setup.log")
    module.VENV.mkdir()
    return module


def test_an_old_python_can_read_it_and_is_told_so():
    tree = ast.parse(SOURCE.read_text(), feature_version=(3, 6))
    first = next(node for node in tree.body if isinstance(node, ast.If))
    before = [node for node in tree.body if node.lineno < first.lineno]
    assert [type(node) for node in before] == [ast.Expr, ast.Import], "nothing may fail before it"
    assert "python3" in ast.unparse(first) and "sys.exit" in ast.unparse(first)


def test_an_old_python_is_refused_with_what_to_install():
    script = (
        "import runpy, sys; sys.version_info = (3, 6, 9);"
        f" runpy.run_path({str(SOURCE)!r}, run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "Python 3.10 or newer is needed" in done.stderr and "is 3.6" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_python_without_venv_names_the_package(bootstrap, tmp_path, monkeypatch):
    python = tmp_path / "python3"
    python.write_text(
        f'#!/bin/sh\ncase "$2" in *ensurepip*) exit 1;; esac\nexec {sys.executable} "$@"\n'
    )
    python.chmod(0o755)
    monkeypatch.setenv("SHOPFLOOR_PYTHON", str(python))
    with pytest.raises(bootstrap.Failed, match=r"no venv module.* apt-get install python3-venv"):
        bootstrap.make_venv()


def test_a_step_is_done_once_and_again_when_what_it_is_made_from_changes(bootstrap, tmp_path):
    source, done = tmp_path / "package.json", []
    for text, expected in (("1", 1), ("1", 1), ("2", 2)):
        source.write_text(text)
        bootstrap.Steps().run("build", [source], lambda: done.append(1))
        assert len(done) == expected


def test_a_step_is_done_again_when_what_it_made_was_removed(bootstrap, tmp_path):
    made, done = tmp_path / "made", []

    def make():
        done.append(1)
        made.touch()

    for expected in (1, 1):
        bootstrap.Steps().run("build", ["x"], make, made=made)
        assert len(done) == expected
    made.unlink()
    bootstrap.Steps().run("build", ["x"], make, made=made)
    assert len(done) == 2


def test_an_interrupted_set_up_keeps_the_steps_that_were_done(bootstrap):
    def interrupted():
        raise KeyboardInterrupt

    steps, done = bootstrap.Steps(), []
    steps.run("first", [1], lambda: done.append("first"))
    with pytest.raises(KeyboardInterrupt):
        steps.run("second", [2], interrupted)
    again = bootstrap.Steps()
    again.run("first", [1], lambda: done.append("first again"))
    again.run("second", [2], lambda: done.append("second"))
    assert done == ["first", "second"]


def test_a_damaged_record_of_steps_starts_over(bootstrap):
    (bootstrap.VENV / "steps.json").write_text("{")
    assert bootstrap.Steps().stamps == {}


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        (
            "echo 'OSError: [Errno 28] No space left on device' >&2; exit 1",
            "The disk of .* is full",
        ),
        ("echo 'npm error code ENOSPC'; exit 1", "The disk of .* is full"),
        (
            "echo 'NewConnectionError: Failed to establish a new connection' >&2; exit 1",
            "sh -c could not reach its package index; set-up needs the network",
        ),
        ("echo 'npm error code EAI_AGAIN' >&2; exit 1", "could not reach its package index"),
        ("echo strange >&2; exit 3", r"sh -c failed; everything it printed is in .*:\nstrange"),
    ],
)
def test_a_command_that_fails_is_explained(bootstrap, script, sentence):
    with pytest.raises(bootstrap.Failed, match=sentence):
        bootstrap.run(["sh", "-c", script], bootstrap.ROOT)


def test_what_runs_at_a_time_is_waited_for_before_a_failure_is_told(bootstrap):
    steps = bootstrap.Steps()

    def fail():
        raise bootstrap.Failed("first sentence")

    steps.attempt(fail)
    steps.attempt(lambda: None)
    with pytest.raises(bootstrap.Failed, match="first sentence"):
        steps.raise_first()


def test_a_panel_that_is_built_anew_is_installed_anew(bootstrap, tmp_path, monkeypatch):
    extension = tmp_path / "extensions"
    monkeypatch.setattr(bootstrap, "EXTENSION", extension)
    for name in (*bootstrap.BUILT_FROM, "pyproject.toml"):
        path = extension / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("") if "." in name else path.mkdir()
    (tmp_path / "pyproject.toml").write_text("")
    for name in ("make_venv", "install_build_tools", "install_packages", "compile_bytecode"):
        monkeypatch.setattr(bootstrap, name, lambda: None)
    monkeypatch.setattr(bootstrap, "build_with_node", lambda steps: None)
    installed = []
    monkeypatch.setattr(bootstrap, "install_extension", lambda: installed.append(True))
    for _ in range(2):
        bootstrap.set_up(with_tests=False)
    assert len(installed) == 1
    (extension / "src" / "panel.tsx").write_text("// another panel")
    bootstrap.set_up(with_tests=False)
    assert len(installed) == 2, "pip copies what was built into .venv, and Lab serves that copy"


THIRDS = ("slurm", "browser and not slurm", "not browser and not slurm")


@pytest.mark.parametrize("failing", [*THIRDS, None])
def test_all_thirds_of_the_tests_run_are_shown_and_count(bootstrap, monkeypatch, capfd, failing):
    monkeypatch.delenv("ONLY", raising=False)
    monkeypatch.setattr(bootstrap, "install_debian_packages", lambda: None)
    pytest_ = bootstrap.BIN / "python"
    pytest_.parent.mkdir()
    pytest_.write_text(
        f'#!/bin/sh\necho "ran $*"\ncase "$4" in "{failing} and not fault_long") exit 1;; esac\n'
    )
    pytest_.chmod(0o755)
    assert bootstrap.test([]) == (1 if failing else 0)
    shown = capfd.readouterr().out
    for marks in THIRDS:
        assert f"ran -m pytest -m {marks} and not fault_long\n" in shown


def test_an_unknown_only_is_refused(bootstrap, monkeypatch):
    monkeypatch.setenv("ONLY", "slurm")
    with pytest.raises(bootstrap.Failed, match="ONLY=slurm is not possible"):
        bootstrap.test([])


def test_a_missing_package_fails_without_root(bootstrap, tmp_path, monkeypatch):
    listed = tmp_path / "tests" / "cluster" / "requirements.apt"
    listed.parent.mkdir(parents=True)
    listed.write_text("# comment\nbash\nno-such-package-of-debian  # for a test\n")
    monkeypatch.setattr(bootstrap.shutil, "which", lambda name: "/usr/bin/" + name)
    monkeypatch.setattr(bootstrap, "is_installed", lambda name: name == "bash")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(bootstrap.Failed, match=r"no-such-package-of-debian.*ONLY=local"):
        bootstrap.install_debian_packages()


def test_an_unknown_benchmark_is_refused_with_the_known_ones(bootstrap, tmp_path):
    (tmp_path / "tests" / "benchmarks").mkdir(parents=True)
    (tmp_path / "tests" / "benchmarks" / "spawn.py").touch()
    with pytest.raises(bootstrap.Failed, match="one of spawn"):
        bootstrap.bench(["nothing"])


def test_make_says_when_there_is_no_python():
    done = subprocess.run(
        ["make", "up", "PYTHON=no-such-python"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "there is no no-such-python; on Debian or Ubuntu: apt-get install python3" in done.stderr
