"""What `shopfloor check` asks Slurm and sudo: the helper's rights, what the hub sees, what Slurm enforces."""

from __future__ import annotations

import grp
import json
import os
import pwd
import subprocess
from collections.abc import Iterator

from shopfloor_jobs import __version__
from shopfloor_jobs.helper import run as run_slurm
from shopfloor_jobs.scheduler import Description, SchedulerError, scheduler_from
from shopfloor_jobs.slurm import sudo_command

from . import check_clocks, check_config, offer
from .findings import FAIL, OK, WARN, Finding
from .server_environment import members
from .site import Site

FIRST_PERSON = 1000  # the lowest number of a person's account, as Debian and Red Hat count


def findings(site: Site, description: Description) -> Iterator[Finding]:
    yield from helper(site)
    yield from _configuration(site)
    yield from check_clocks.findings(as_hub(site), scheduler_from(site.hub_scheduler))
    yield from unenforced(site, description)
    yield from submission(site, description)


def helper(site: Site) -> Iterator[Finding]:
    """Whether the hub's user may run the helper as a person, and as nobody else."""
    program = site.scheduler.helper
    if program is None or not os.access(program, os.X_OK):
        yield Finding(FAIL, f"scheduler.helper: {program} is not there or cannot be run")
        return
    if program.stat().st_mode & 0o022 or program.stat().st_uid != 0:
        yield Finding(
            FAIL,
            f"scheduler.helper: who may write {program} can act as everybody; run: chown root {program}"
            f" && chmod 755 {program}",
        )
    try:
        uid = pwd.getpwnam(site.hub.user).pw_uid
    except KeyError:
        yield Finding(
            FAIL, f"hub.user: there is no Unix user {site.hub.user!r}; run: useradd --system …"
        )
        return
    if os.geteuid() not in (0, uid):
        yield Finding(
            WARN,
            f"scheduler.helper: what sudo allows was not tried; run this as root or {site.hub.user}",
        )
        return
    if (person := somebody(site)) is None:
        yield Finding(
            WARN, "scheduler.helper: not tried, for no person is known; name login.admins"
        )
        return
    done = _as_person(site, person)
    try:
        found = json.loads(done.stdout)["ok"]["version"]
    except (ValueError, KeyError, TypeError):
        complaint = (done.stderr or done.stdout or "it printed nothing").strip().splitlines()[-1]
        yield Finding(
            FAIL,
            f"scheduler.helper: {site.hub.user} cannot run it as {person}: {complaint}; sudoers needs:"
            f" {site.hub.user} ALL=(%people) NOPASSWD: {program}",
        )
        return
    if found != __version__:
        yield Finding(
            FAIL,
            f"scheduler.helper: {program} is of version {found}, the hub of {__version__}; install the same",
        )
    else:
        yield Finding(OK, f"scheduler.helper: {site.hub.user} can run it as {person}")
    if sudo_allows_root(site):
        yield Finding(
            FAIL,
            "scheduler.helper: sudoers lets it run as root; give it a run-as group: (%people), not (ALL)",
        )


def somebody(site: Site) -> str | None:
    """A person on whom the helper's rights can be tried: an admin, or a member of one of the site's groups."""
    names = list(site.login.admins)
    for group in site.groups:
        names += sorted(members(group))
    for name in site.login.allowed_groups:
        try:
            names += grp.getgrnam(name).gr_mem
        except KeyError:
            continue
    for name in names:
        try:
            if pwd.getpwnam(name).pw_uid >= FIRST_PERSON:
                return name
        except KeyError:
            continue
    return None


def _as_person(site: Site, person: str) -> subprocess.CompletedProcess[str]:
    payload = json.dumps({"conf": str(site.scheduler.conf), "timeout": site.scheduler.timeout})
    return _run_as_hub(site, sudo_command(person, str(site.scheduler.helper), "version"), payload)


def sudo_allows_root(site: Site) -> bool:
    """Whether sudo would run the helper as root for the hub's user; asked, not done."""
    command = sudo_command("root", str(site.scheduler.helper), "version")
    command.insert(1, "--list")
    return _run_as_hub(site, command, "").returncode == 0


def _run_as_hub(site: Site, command: list[str], text: str) -> subprocess.CompletedProcess[str]:
    if os.geteuid() == 0:
        command = ["runuser", "-u", site.hub.user, "--", *command]
    try:
        return subprocess.run(
            command,
            input=text,
            capture_output=True,
            text=True,
            timeout=site.scheduler.timeout,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 1, "", str(error))


def _configuration(site: Site) -> Iterator[Finding]:
    try:
        shown = _ask(site, ["scontrol", "show", "config"])
    except SchedulerError as error:
        yield Finding(WARN, f"scheduler: its configuration is not shown: {error}")
        return
    yield from check_config.findings(check_config.parse(shown), site.hub.user, as_hub(site))


def unenforced(site: Site, description: Description) -> Iterator[Finding]:
    """Site limits below Slurm's own: people who call sbatch themselves are not held by them."""
    for table, limits, infos in (
        ("limits", offer.given_limits(site.limits), description.partitions),
        *(
            (f"partitions[{index}]", offer.given_limits(one), [info])
            for index, one in enumerate(site.partitions)
            if (info := description.partition(one.name))
        ),
    ):
        for name, most in limits.items():
            above = [
                info.name
                for info in infos
                if (theirs := offer.scheduler_limits(info).get(name)) is None or theirs > most
            ]
            if above:
                where = "MaxTime" if name == "time" else "MaxNodes" if name == "nodes" else "a QOS"
                yield Finding(
                    WARN,
                    f"{table}.{name}: Slurm allows more on {', '.join(above)}, so sbatch goes past it;"
                    f" what must hold is set in Slurm ({where})",
                )


def submission(site: Site, description: Description) -> Iterator[Finding]:
    """Partitions to which not every node may submit, while clusters ask for their workers from any node."""
    offered = {one.name for one in site.partitions}
    limited = [
        info
        for info in description.partitions
        if info.submit_from and (not offered or info.name in offered)
    ]
    if site.clusters.beside_lab:
        for info in limited:
            yield Finding(
                OK,
                f"clusters.beside_lab: Dask clusters ask {info.name} for workers from Lab's nodes; these must be among"
                f" its AllocNodes, {info.submit_from}",
            )
        return
    for info in limited:
        yield Finding(
            WARN,
            f"clusters.beside_lab: only {info.submit_from} may submit jobs to {info.name} (AllocNodes), so a Dask"
            " cluster whose scheduler runs elsewhere gets no workers there; set it to true if Lab's nodes may",
        )


def as_hub(site: Site) -> check_config.Ask:
    """Asks Slurm as the hub's user, as far as that can be done: root may, and this user itself."""
    user = ["runuser", "-u", site.hub.user, "--"] if os.geteuid() == 0 else []
    return lambda command: _ask(site, [*user, *command])


def _ask(site: Site, command: list[str]) -> str:
    return run_slurm(command, str(site.scheduler.conf), site.scheduler.timeout)
