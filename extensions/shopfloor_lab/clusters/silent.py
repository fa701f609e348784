"""distributed's Scheduler and Worker without their HTTP servers, which would answer anybody who reaches the node.

The controller uses the one; the other is named on the command line of each worker (job.py).
"""

from __future__ import annotations

from typing import Any

import distributed
from distributed.comm import get_address_host
from distributed.utils import get_ip


class _Silent:
    def start_http_server(self, *arguments: Any, **options: Any) -> None:
        """Open nothing. Routes, dashboard and metrics have no authentication of their own.

        Plots are opened apart, for who has the cluster's certificate (pages.py).
        """


class Scheduler(_Silent, distributed.Scheduler):
    pass


class Worker(_Silent, distributed.Worker):
    """Listens on the one address that its node reaches the scheduler from, where distributed takes all."""

    def __init__(self, *arguments: Any, **options: Any):
        super().__init__(*arguments, **options)
        if not self._start_host and not self._interface:
            self._start_host = get_ip(get_address_host(self.scheduler.address))
