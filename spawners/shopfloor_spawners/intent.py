"""What the hub means to have: one server's job, as it stands in the hub's database."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shopfloor_jobs.request import Request

KIND = "server"


def new_nonce() -> str:
    """What a job's server proves with that it is the one that was meant: 128 random bits.

    In hexadecimal digits, as JupyterHub's tokens are, so that whatever writes it down can be masked by its form.
    """
    return secrets.token_hex(16)


@dataclass
class Intent:
    """A job that was asked for; ``job_id``, ``port`` and ``address`` are empty until they are known.

    ``reported`` is when the port was (epoch seconds).

    ``api_token`` is kept so that a hub that was restarted can revoke it, and give it to the job if it was
    never submitted. ``resumed`` marks an intent that was read from the database.
    """

    tag: str
    nonce: str = field(repr=False)
    api_token: str = field(repr=False)
    request: Request
    job_id: str = ""
    port: int = 0
    reported: float = 0.0
    address: str = ""
    resumed: bool = False

    def to_json(self) -> dict[str, Any]:
        return {
            "tag": self.tag,
            "nonce": self.nonce,
            "api_token": self.api_token,
            "request": self.request.to_json(),
            "job_id": self.job_id,
            "port": self.port,
            "reported": self.reported,
            "address": self.address,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Intent:
        return cls(**{**data, "request": Request.from_json(data["request"])})
