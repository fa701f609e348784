"""`shopfloor up`: proxy and hub on this machine, watched until Ctrl-C; readiness.py checks what must hold first."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from shopfloor_jobs.local import Local
from shopfloor_jobs.scheduler import SchedulerError

from . import children, passwords, proxy, readiness, state
from .children import Child
from .site import Site, bracketed
from .stopped import Stopped

DEMO_PEOPLE = ("alice", "bob", "trainer")
START_SECONDS = 120  # until the login page must have answered
RESTARTS, WITHIN = 3, 120.0  # deaths of hub or proxy that are mended within so many seconds
ROOT_WARNING = (
    "This runs as root, as in a container: everybody who logs in can do what root can do here."
)

Say = Callable[[str], None]


def up(site: Site, say: Say) -> int:
    """Run until a signal ends it; the exit status. Raises Stopped or SiteError with what is in the way."""
    if site.scheduler.type == "slurm":
        readiness.become_service_user(site)
    elif os.geteuid() == 0:
        say(ROOT_WARNING)
    state.prepare(site)
    with readiness.only_one(site):
        if children.end_leftovers(_record(site)):
            say("Ended the hub and proxy of an earlier `up` that was killed; jobs were left alone.")
        readiness.check_ports(site)
        new = _generate_passwords(site)
        return asyncio.run(_Running(site, say).run(new))


def _generate_passwords(site: Site) -> dict[str, str] | None:
    if site.login_type != "passwords":
        return None
    return passwords.generate(site.passwords_file, DEMO_PEOPLE)


def _record(site: Site) -> Path:
    return site.state / "up.json"


class _Running:
    def __init__(self, site: Site, say: Say):
        self.site, self.say = site, say
        self.proxy, self.hub = _proxy(site), _hub(site)
        self.deaths: list[float] = []
        self.stop = asyncio.Event()

    async def run(self, new_passwords: dict[str, str] | None) -> int:
        began = time.monotonic()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self.stop.set)
        try:
            await self._start(self.proxy)
            await self._start(self.hub)
            if not await self._answers():
                return 0
            self._announce(new_passwords, time.monotonic() - began)
            while not self.stop.is_set():
                await self._first_of(self.proxy.wait(), self.hub.wait())
                if not self.stop.is_set():
                    await self._mend()
            return 0
        finally:
            await self._end()

    async def _start(self, child: Child) -> None:
        await child.start()
        children.record(_record(self.site), [one for one in (self.proxy, self.hub) if one.pid])

    async def _answers(self) -> bool:
        """Wait until the login page answers; False when we were told to stop meanwhile."""
        deadline = time.monotonic() + START_SECONDS
        while not await asyncio.to_thread(_login_page_answers, self.site):
            for child in (self.hub, self.proxy):
                if child.ended:
                    raise Stopped(f"The {child.name} ended as it started:\n{child.tail()}")
            if time.monotonic() > deadline:
                raise Stopped(
                    f"The login page did not answer within {START_SECONDS} s; see {self.hub.log}"
                )
            await self._first_of(timeout=0.1)
            if self.stop.is_set():
                return False
        return True

    async def _first_of(self, *waits, timeout: float | None = None) -> None:
        """Return when one of these is done, when we are told to stop, or after the timeout."""
        tasks = [asyncio.ensure_future(one) for one in (*waits, self.stop.wait())]
        await asyncio.wait(tasks, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()

    async def _mend(self) -> None:
        """Start again what died, a few times: the jobs live on, and the hub finds them."""
        now = time.monotonic()
        self.deaths = [*(one for one in self.deaths if now - one < WITHIN), now]
        dead = self.proxy if self.proxy.ended else self.hub
        if len(self.deaths) > RESTARTS:
            raise Stopped(
                f"The {dead.name} died {len(self.deaths)} times in {WITHIN:g} s:\n{dead.tail()}"
            )
        self.say(f"The {dead.name} died and is started again; running jobs are not touched.")
        if dead is self.proxy:
            await self._start(self.proxy)
            # A new proxy knows no route; a hub tells them all when it starts.
            await self.hub.stop()
        await self._start(self.hub)
        if await self._answers():
            self.say(f"It answers again: {self.site.url}")

    def _announce(self, new_passwords: dict[str, str] | None, seconds: float) -> None:
        site = self.site
        if new_passwords:
            self.say(f"Passwords, shown this once; they are kept in {site.passwords_file}:")
            for name, password in new_passwords.items():
                self.say(f"  {name:<10}{password}")
        elif site.login_type == "passwords":
            self.say(f"Passwords: {site.passwords_file}")
        self.say(f"Logs: {self.hub.log.parent}")
        jobs = "all jobs" if site.scheduler.type == "local" else "no jobs: they are Slurm's"
        self.say(f"Ctrl-C ends it, and {jobs}.")
        self.say(f"Ready after {seconds:.1f} s: {site.url}")

    async def _end(self) -> None:
        self.say("Stopping …")
        await self.hub.stop()
        if self.site.scheduler.type == "local":
            try:
                await Local(**_without_type(self.site.node_scheduler)).stop_all()
            except SchedulerError as error:
                self.say(f"Jobs may still run: {error}")
        await self.proxy.stop()
        _record(self.site).unlink(missing_ok=True)
        self.say("Stopped.")


def _without_type(config: dict) -> dict:
    return {key: value for key, value in config.items() if key != "type"}


def _proxy(site: Site) -> Child:
    env = {**_environment(), **proxy.environment(site)}
    return Child("proxy", proxy.command(site), env, _logs(site) / "proxy.log")


def _hub(site: Site) -> Child:
    command = [sys.executable, "-m", "jupyterhub", "-f", str(config_file(site))]
    env = _environment()
    env.pop("SHOPFLOOR_SITE", None)
    if site.file:
        env["SHOPFLOOR_SITE"] = str(site.file)
    return Child("hub", command, env, _logs(site) / "hub.log")


def config_file(site: Site) -> Path:
    """JupyterHub's configuration: the administrator's copy beside the site file, else that of the checkout."""
    checkout = Path(__file__).parents[1]
    for directory in (site.file.parent if site.file else checkout, checkout):
        if (path := directory / "jupyterhub_config.py").exists():
            return path
    raise Stopped(
        "jupyterhub_config.py is missing; copy it from Shopfloor's sources to beside the site file"
    )


def _logs(site: Site) -> Path:
    path = site.state / "logs"
    path.mkdir(mode=0o700, exist_ok=True)
    return path


def _environment() -> dict[str, str]:
    # A hub that an enclosing server or hub started must not take itself for that.
    kept = {key: value for key, value in os.environ.items() if not key.startswith("JUPYTERHUB_")}
    return {**kept, "PATH": proxy.path()}


def _login_page_answers(site: Site) -> bool:
    address = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(site.hub.address, site.hub.address)
    url = f"http://{bracketed(address)}:{site.hub.port}{site.hub.base_url}hub/login"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=10) as answer:
            return answer.status == 200
    except (OSError, urllib.error.URLError):
        return False
