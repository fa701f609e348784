"""The `shopfloor` command: up, proxy, check and site-example; each is a module of that name."""

from __future__ import annotations

import argparse
import errno
import os
import sys

from . import site
from .stopped import Stopped


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status: 0, or 1 with a sentence on standard error."""
    parser = argparse.ArgumentParser(
        prog="shopfloor", description="Runs Shopfloor on this machine."
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="COMMAND")
    for name, words in (
        ("up", "start the proxy and the hub, and keep them running until Ctrl-C"),
        ("proxy", "run the proxy alone, for a unit of its own beside that of the hub"),
        ("check", "hold the site file against the scheduler and this machine"),
    ):
        verb = verbs.add_parser(name, help=words, description=words)
        verb.add_argument(
            "--site",
            metavar="FILE",
            default=os.environ.get("SHOPFLOOR_SITE") or None,
            help="the site file (default: $SHOPFLOOR_SITE, else one machine with the local scheduler)",
        )
    words = "print a site file with every key explained"
    verbs.add_parser("site-example", help=words, description=words)
    chosen = parser.parse_args(arguments)
    try:
        return _run(chosen)
    except (site.SiteError, Stopped) as error:
        print(f"shopfloor: {error}", file=sys.stderr)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        where = f" of {error.filename}" if error.filename else ""
        print(f"shopfloor: The disk{where} is full; make room and start again.", file=sys.stderr)
    return 1


def _run(chosen: argparse.Namespace) -> int:
    # Each command loads what it needs only: `site-example` should not wait for JupyterHub.
    if chosen.verb == "site-example":
        from . import site_example

        print(site_example.example(), end="")
        return 0
    loaded = site.load(chosen.site)
    if chosen.verb == "check":
        from . import check

        return check.check(loaded)
    if chosen.verb == "proxy":
        from . import proxy

        return proxy.run(loaded)
    from . import up

    return up.up(loaded, lambda sentence: print(sentence, flush=True))


if __name__ == "__main__":
    sys.exit(main())
