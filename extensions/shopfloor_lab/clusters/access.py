"""What a cluster asks the hub with for its workers' jobs: a token and a certificate, for as long as it runs."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import replace

from shopfloor_jobs.job import Job

from shopfloor_lab.hub import Hub, NoHub

WITHIN = 5.0  # seconds that the hub may take

log = logging.getLogger("shopfloor.clusters")


class Access:
    """Given and taken back by ``hub``; without one there is none."""

    def __init__(self, hub: Hub):
        self._hub = hub

    async def give(self, job: Job) -> Job:
        """The job with its access; as it was where the hub gives none: then it asks the scheduler itself."""
        if not self._hub:
            return job
        try:
            access = await self._hub.post(
                "access", {"tag": job.tag, "time": job.request.time}, WITHIN
            )
            token, files = str(access["token"]), dict(access["files"])
        except (NoHub, KeyError, TypeError, ValueError) as error:
            log.warning("Cluster %s asks the scheduler itself, not the hub: %s", job.title, error)
            return job
        return replace(
            job,
            env={**job.env, "JUPYTERHUB_API_URL": self._hub.url},
            secrets={**job.secrets, "JUPYTERHUB_API_TOKEN": token},
            files={**job.files, **files},
        )

    async def take_back(self, cluster: str) -> None:
        """End the access of a cluster that cannot do so itself; where the hub is away, it ends in time."""
        if self._hub:
            with contextlib.suppress(NoHub):
                await self._hub.delete(f"access/{cluster}", WITHIN)
