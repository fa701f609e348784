"""`make bench NAME=lab`: what our extension adds to the start of JupyterLab, server and page, and how large it is.

`jupyter lab` with it and without it take turns, each a new process under a new home, with everything else alike: with
the same other extensions, and as bytecode. "Start" is from the process to answers at /api/status and /lab; "page" is
in a new Chromium window, from asking for /lab until Lab says that it is restored. Two pairs before the first are not
counted. Human words go to stderr; the last line of stdout is one flat JSON object, times in milliseconds.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import json
import os
import secrets
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser, Error, sync_playwright

from tests.benchmarks._spawn_ways import fetch
from tests.browser.chromium import ARGUMENTS, EXECUTABLE, SIZE
from tests.harness import free_ports

OURS = "shopfloor-lab"
BUNDLE = Path(sys.prefix) / "share" / "jupyter" / "labextensions"
LOADED = (".js", ".css")
UNCOUNTED = 2  # pairs
PATIENCE = 60  # seconds after which a start counts as failed
PAGE_MS = 60_000
INTERVAL = 0.005  # seconds between two looks whether a server answers
OPEN = 200
RESTORED = """async () => {
  await window.jupyterapp.restored;
  return performance.now();
}"""


class StartFailed(Exception):
    """Lab did not start, or was not what it should be; the text says which."""


@dataclass
class Results:
    """Milliseconds of each pair, (with, without), a pair of which one failed as None."""

    start: list[tuple[float, float] | None] = field(default_factory=list)
    page: list[tuple[float, float] | None] = field(default_factory=list)

    def summary(self) -> dict[str, float | int | None]:
        found: dict[str, float | int | None] = {}
        for name, pairs in (("start", self.start), ("page", self.page)):
            good = [pair for pair in pairs if pair]
            added = [one - other for one, other in good]
            found |= {
                f"added_{name}_ms": middle(added),
                f"added_{name}_spread_ms": spread(added),
                f"{name}_with_ms": middle([one for one, _ in good]),
                f"{name}_without_ms": middle([other for _, other in good]),
                f"{name}_pairs": len(pairs),
                f"{name}_failed": len(pairs) - len(good),
            }
        return found


def middle(values: Sequence[float]) -> float | None:
    return round(statistics.median(values), 1) if values else None


def spread(values: Sequence[float]) -> float | None:
    """Between the first and the third quartile; None for fewer than three values."""
    if len(values) < 3:
        return None
    first, _, third = statistics.quantiles(values, n=4)
    return round(third - first, 1)


def say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def other_extensions(folder: Path) -> Path:
    """A folder with links to every prebuilt extension that is installed but ours.

    One that is merely disabled is loaded by the page all the same.
    """
    folder.mkdir()
    for path in BUNDLE.iterdir():
        if path.name != OURS:
            (folder / path.name).symlink_to(path)
    return folder


@contextlib.contextmanager
def lab(ours: bool, extensions: Path) -> Iterator[tuple[float, str, str]]:
    """A Lab that answers: seconds that its start took, its address, its token. Raises StartFailed."""
    with tempfile.TemporaryDirectory(prefix="bench-lab-") as name:
        home = Path(name)
        (home / "config").mkdir()
        (home / "config" / "jupyter_server_config.json").write_text(
            json.dumps({"ServerApp": {"jpserver_extensions": {"shopfloor_lab": ours}}})
        )
        [port] = free_ports(1)
        token = secrets.token_hex(16)
        command = [f"{sys.prefix}/bin/jupyter-lab", "--no-browser", "--ip=127.0.0.1"]
        command += [f"--port={port}", "--ServerApp.port_retries=0", "--expose-app-in-browser"]
        command += [f"--ServerApp.root_dir={home}", "--ServerApp.allow_root=True"]
        command += [f"--LabApp.labextensions_path={BUNDLE if ours else extensions}"]
        with (home / "server.log").open("wb") as log:
            began = time.monotonic()
            process = subprocess.Popen(
                command,
                cwd=home,
                env=environment(home, token),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            wait_for(process, port, token, began)
            took = time.monotonic() - began
            check(ours, port, token)
            yield took, f"http://127.0.0.1:{port}", token
        except StartFailed as error:
            raise StartFailed(f"{error}\n{(home / 'server.log').read_text()[-2000:]}") from error
        finally:
            end(process)


def environment(home: Path, token: str) -> dict[str, str]:
    """Of a person who starts Lab for the first time; nothing of ours may come in by a variable."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TZ") if name in os.environ}
    folders = {
        f"JUPYTER_{name}_DIR": str(home / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")
    }
    return {**kept, "HOME": str(home), "JUPYTER_TOKEN": token, **folders}


def wait_for(process: subprocess.Popen[bytes], port: int, token: str, began: float) -> None:
    """Until the server answers at both addresses, one after the other as Lab's page asks."""
    for path in ("/api/status", "/lab"):
        while ask(port, path, token)[0] != OPEN:
            if process.poll() is not None:
                raise StartFailed(f"Lab ended with exit code {process.returncode}")
            if time.monotonic() - began > PATIENCE:
                raise StartFailed(f"no answer at {path} after {PATIENCE} s")
            time.sleep(INTERVAL)


def ask(port: int, path: str, token: str) -> tuple[int, bytes]:
    return fetch("127.0.0.1", port, path, {"Authorization": f"token {token}"})


def check(ours: bool, port: int, token: str) -> None:
    """Whether what is compared is there on one side and not on the other."""
    _, page = ask(port, "/lab", token)
    served, _ = ask(port, "/shopfloor/api/clusters", token)
    if (f'"{OURS}"'.encode() in page, served != 404) != (ours, ours):
        raise StartFailed(f"page or server {'lack' if ours else 'have'} our extension")


def end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(20)


def restored(browser: Browser, address: str, token: str) -> float:
    """Milliseconds from asking for the page until Lab says that it is restored. Raises StartFailed."""
    context = browser.new_context(viewport=SIZE, reduced_motion="reduce")
    context.set_default_timeout(PAGE_MS)
    try:
        page = context.new_page()
        page.goto(f"{address}/lab?token={token}", wait_until="commit")
        page.wait_for_function("() => window.jupyterapp?.restored", timeout=PAGE_MS)
        return float(page.evaluate(RESTORED))
    except Error as error:
        raise StartFailed(f"the page was not restored: {error}") from error
    finally:
        context.close()


def measure(ours: bool, extensions: Path, browser: Browser | None) -> tuple[float, float | None]:
    """Milliseconds of the server's start and of the page's. Raises StartFailed."""
    with lab(ours, extensions) as (took, address, token):
        return took * 1000, restored(browser, address, token) if browser else None


def one_pair(number: int, extensions: Path, browser: Browser | None, results: Results) -> None:
    """Each is first in turn, so that what the other leaves in caches helps both."""
    found: dict[bool, tuple[float, float | None]] = {}
    for ours in (True, False) if number % 2 else (False, True):
        try:
            found[ours] = measure(ours, extensions, browser)
        except StartFailed as error:
            say(f"  a start failed: {error}")
    whole = len(found) == 2
    results.start.append((found[True][0], found[False][0]) if whole else None)
    if browser:
        results.page.append((found[True][1], found[False][1]) if whole else None)
    shown = {("with" if ours else "without"): values for ours, values in sorted(found.items())}
    say(f"Pair {number}: {shown}   (load {os.getloadavg()[0]:.1f})")


def bundle() -> dict[str, float]:
    """Kilobytes of all scripts and styles of ours, as they lie there and as a server would compress them."""
    files = [one for one in (BUNDLE / OURS / "static").rglob("*") if one.suffix in LOADED]
    if not files:
        raise SystemExit(f"there is no built panel in {BUNDLE / OURS}: make lint builds it")
    texts = [one.read_bytes() for one in files]
    return {
        "bundle_gzip_kb": round(sum(len(gzip.compress(text)) for text in texts) / 1000, 1),
        "bundle_kb": round(sum(map(len, texts)) / 1000, 1),
    }


def run(pairs: int, with_page: bool) -> Results:
    with contextlib.ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-lab-")))
        extensions = other_extensions(scratch / "labextensions")
        browser = None
        if with_page:
            playwright = stack.enter_context(sync_playwright())
            browser = playwright.chromium.launch(executable_path=EXECUTABLE, args=ARGUMENTS)
            stack.callback(browser.close)
        for number in range(1 - UNCOUNTED, 1):
            one_pair(number, extensions, browser, Results())
        results = Results()
        for number in range(1, pairs + 1):
            one_pair(number, extensions, browser, results)
    return results


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--pairs", type=int, default=15, help="starts with and without (default 15)"
    )
    parser.add_argument("--no-page", action="store_true", help="the server only, without Chromium")
    chosen = parser.parse_args()
    if chosen.pairs < 1:
        parser.error("--pairs is at least 1")
    size = bundle()
    results = run(chosen.pairs, not chosen.no_page)
    summary = {**results.summary(), **size}
    print(json.dumps(summary))
    return 1 if summary["start_failed"] or summary["page_failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
