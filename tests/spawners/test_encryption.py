"""Hub, proxy and servers where all between them is encrypted: it works as before, and nobody else gets a word."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from shopfloor_spawners.authorities import Authorities

from tests.cases import Case, end_case, local_case
from tests.harness import wait_until
from tests.kernels import Kernel
from tests.spawners.handshakes import anybody, said
from tests.spawners.steps import KNOCK, SMALL, intent, pair, private, start


@pytest.fixture(scope="module")
def encrypted_local_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    case = local_case(tmp_path_factory.mktemp("hub"), keys="tls = true")
    yield case
    end_case(case)


@pytest.fixture(
    scope="module", params=["encrypted_local", pytest.param("slurm", marks=pytest.mark.slurm)]
)
def case(request: pytest.FixtureRequest) -> Case:
    """With the local scheduler the key is set; with Slurm it is the default."""
    return request.getfixturevalue(f"{request.param}_hub")


@pytest.fixture(autouse=True)
def nothing_left(case: Case):
    yield
    for name, server in (("alice", ""), ("alice", "second"), ("bob", "")):
        case.hub.stop_server(name, server)
    case.cancel_all()


def answer_of(case: Case, name: str, token: str) -> int:
    url = f"{case.hub.url}/user/{name}/api/status"
    return requests.get(url, headers={"Authorization": f"token {token}"}, timeout=20).status_code


def test_lab_and_a_kernel_answer_through_the_proxy_after_a_restart_of_the_hub_too(case: Case):
    token = start(case, "alice")
    kernel = Kernel(case.hub.url, "alice", token)
    kernel.run("answer = 42")
    case.hub.kill_hub()
    case.hub.start_hub()
    case.hub.wait_server("alice")
    assert len(case.jobs()) == 1
    assert answer_of(case, "alice", token) == 200
    assert Kernel(case.hub.url, "alice", token, kernel.id).run("print(answer)") == "42\n"
    # Whose a token is that it has not seen yet, the server asks the hub.
    assert answer_of(case, "alice", case.hub.add_user("alice")) == 200


def test_a_server_answers_again_after_the_proxy_was_killed(case: Case):
    token = start(case, "alice")
    os.killpg(case.hub.proxy.pid, signal.SIGKILL)
    case.hub.proxy.wait(10)
    case.hub.start_proxy()
    case.hub.stop_hub()
    case.hub.start_hub()
    case.hub.wait_server("alice")
    assert answer_of(case, "alice", token) == 200


def test_a_server_that_was_starting_when_the_hub_was_killed_becomes_ready(case: Case):
    token = case.hub.add_user("alice")
    case.hub.start_server("alice", SMALL)
    case.hub.kill_hub()
    case.hub.start_hub()
    case.hub.wait_server("alice")
    assert answer_of(case, "alice", token) == 200
    assert len(case.jobs()) == 1


def test_each_server_has_a_pair_of_its_own_for_its_owner_alone(case: Case):
    start(case, "alice")
    start(case, "alice", "second")
    one, other = private(case, "alice"), private(case, "alice", "second")
    assert pair(one)[1].read_text() != pair(other)[1].read_text()
    for folder in (one, other):
        modes = {oct(path.stat().st_mode)[-3:] for path in folder.iterdir()}
        assert (oct(folder.stat().st_mode)[-3:], modes) == ("700", {"600"})
        assert folder.owner() == case.jobs()[0].owner if case.cluster else True


def test_what_a_server_was_given_is_removed_when_it_is_stopped_or_ends(case: Case):
    start(case, "alice")
    stopped = private(case, "alice")
    assert stopped.exists()
    case.hub.stop_server("alice")
    wait_until(lambda: not stopped.exists(), 30, "the files of the stopped server are removed")

    token = start(case, "alice")
    ended = private(case, "alice")
    url = f"{case.hub.url}/user/alice/api/shutdown"
    requests.post(url, headers={"Authorization": f"token {token}"}, timeout=20)
    wait_until(lambda: not ended.exists(), 30, "the files of the ended server are removed")
    wait_until(lambda: case.hub.server("alice") is None, 30, "the hub knows that it has ended")

    start(case, "alice")
    killed = private(case, "alice")
    runner = json.loads((killed.parent / "start-0.json").read_text())["pid"]
    os.kill(runner, signal.SIGKILL)
    wait_until(lambda: not killed.exists(), 60, "those of the killed runner, too")


def listeners(case: Case) -> dict[str, tuple[str, int]]:
    found = intent(case, "alice")
    return {
        "the server": (found["address"], found["port"]),
        "the hub": (case.hub.address, case.hub.internal_port),
        "the proxy's API": ("127.0.0.1", case.hub.proxy_port),
    }


def test_without_a_certificate_nobody_says_a_word(case: Case):
    start(case, "alice")
    for name, address in listeners(case).items():
        assert said(address, None, KNOCK) == b"", name
        assert said(address, anybody(), KNOCK) == b"", name


def test_a_strangers_certificate_opens_nothing(case: Case, tmp_path: Path):
    stranger = Authorities(tmp_path / "tls")
    stranger.prepare(case.hub.address)
    start(case, "alice")
    for pair_of in ("hub-internal", "proxy-client"):
        context = anybody(stranger.key(pair_of), stranger.certificate(pair_of))
        for name, address in listeners(case).items():
            assert said(address, context, KNOCK) == b"", name


def test_no_servers_certificate_opens_a_server(case: Case):
    start(case, "alice")
    start(case, "bob")
    alice, bob = pair(private(case, "alice")), pair(private(case, "bob"))
    found = listeners(case)
    for key, certificate in (alice, bob):
        context = anybody(key, certificate)
        assert said(found["the server"], context, KNOCK) == b""
        assert said(found["the proxy's API"], context, KNOCK) == b""
        # It is as good as any: the hub listens to it, and asks for a token.
        assert b" 200 OK" in said(found["the hub"], context, b"GET /hub/api HTTP/1.0\r\n\r\n")
    made = Authorities(case.hub.directory / ".shopfloor" / "tls")
    hub = anybody(made.key("hub-internal"), made.certificate("hub-internal"))
    assert said(found["the server"], hub, KNOCK).startswith(b"HTTP/1.1 ")
