"""The software that a server can run in: the choices of the offer, and the command that each one means."""

from __future__ import annotations

import sys

from shopfloor_jobs.offer import Choice
from shopfloor_jobs.request import Request

from .site import Site
from .site_tables import Environment

COMMAND = "bin/shopfloor-singleuser"


def environments(site: Site) -> dict[str, Environment]:
    """The site's environments, the default first; the one that the hub runs in where it names none."""
    return dict(site.environments) or {
        "jupyterlab": Environment(label="JupyterLab", path=sys.prefix)
    }


def choices(site: Site) -> tuple[Choice, ...]:
    return tuple(Choice(name, one.label) for name, one in environments(site).items())


def command(site: Site, request: Request) -> list[str]:
    """The argument list of the server in the request's environment (the default one where it names none)."""
    known = environments(site)
    chosen = known[request.environment] if request.environment else next(iter(known.values()))
    program = str(chosen.path / COMMAND)
    if not chosen.setup.strip():
        return [program]
    # A login shell, for `module` is a function that only /etc/profile defines; a line that fails ends the
    # job with its message in the log, rather than starting something without the software.
    script = f'set -e\n{chosen.setup.rstrip()}\nset +e\nexec "$@"'
    return ["/bin/bash", "--login", "-c", script, "shopfloor", program]
