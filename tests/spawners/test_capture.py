"""Who listens on the wire between login machine and node reads nothing: no token, no cookie, nothing of a cell."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.cases import Case, end_case, slurm_case
from tests.kernels import Kernel
from tests.spawners.wire import captured, streams

pytestmark = pytest.mark.slurm


@pytest.fixture(params=[True, False], ids=["encrypted", "in the clear"])
def encrypted(request: pytest.FixtureRequest) -> bool:
    return request.param


@pytest.fixture
def hub(slurm_cluster: Any, software: Path, encrypted: bool) -> Iterator[Case]:
    keys = "" if encrypted else "tls = false"  # encrypted by default
    case = slurm_case(slurm_cluster, software, keys=keys)
    yield case
    case.hub.stop_server("alice")
    end_case(case)


def sign_in(case: Case, name: str) -> requests.Session:
    """A browser's session, with the cookies of the hub and of the person's server."""
    session = requests.Session()
    page = session.get(f"{case.hub.url}/hub/login", timeout=20)
    form = {"username": name, "password": case.passwords[name], "_xsrf": xsrf_of(page.text)}
    answer = session.post(f"{case.hub.url}/hub/login", data=form, timeout=20)
    assert answer.status_code == 200, answer.text[:500]
    return session


def xsrf_of(page: str) -> str:
    found = re.search(r'name="_xsrf" value="([^"]+)"', page)
    assert found, page[:2000]
    return found[1]


def test_the_wire_tells_no_token_no_cookie_no_nonce_and_nothing_of_a_cell(
    hub: Case, encrypted: bool, tmp_path: Path
):
    marker = f"a-marker-{secrets.token_hex(8)}"
    file = tmp_path / "wire"
    with captured(hub.cluster, "gpu01", file):
        session = sign_in(hub, "alice")
        token = hub.hub.add_user("alice")
        hub.hub.start_server("alice", {"preset": "one-gpu"})
        hub.hub.wait_server("alice")
        lab = session.get(f"{hub.hub.url}/user/alice/lab", timeout=30)
        assert lab.status_code == 200
        assert "JupyterLab" in lab.text
        kernel = Kernel(hub.hub.url, "alice", token)
        assert kernel.run(f"print({marker[:9]!r} + {marker[9:]!r})") == f"{marker}\n"
        intent = hub.hub.server("alice")["state"]["shopfloor"]
    tag, home = intent["tag"], hub.home("alice")
    private = home / ".local/share/shopfloor/jobs" / tag / "private"

    sent = streams(file)
    to_the_server = [key for key in sent if key[2:] == (intent["address"], intent["port"])]
    assert to_the_server, "the proxy's requests were seen"
    assert any(key[3] == hub.hub.internal_port for key in sent), "the server's, too"
    assert any(tag.encode() in data for data in sent.values()), "and Slurm's own, which is readable"

    wanted = {
        "the person's token": token,
        "the server's token": intent["api_token"],
        "the nonce": intent["nonce"],
        "what the cell printed": marker,
        **{f"cookie {one.name}": one.value.strip('"') for one in session.cookies},
    }
    assert len([name for name in wanted if name.startswith("cookie")]) >= 3, wanted.keys()
    for path in private.glob("*KEYFILE"):
        wanted["the server's key"] = path.read_text().splitlines()[1]
    found = {
        name for name, text in wanted.items() if any(text.encode() in one for one in sent.values())
    }
    if encrypted:
        assert found == set()
    else:
        assert {
            "the person's token",
            "the server's token",
            "the nonce",
            "what the cell printed",
        } <= found
        assert any(name.startswith("cookie") for name in found)
