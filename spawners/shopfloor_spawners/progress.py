"""What a person reads while a server starts and when it did not; the pages draw the stages as four dots."""

from __future__ import annotations

from typing import Any

from shopfloor_jobs.job import Seen, State

STAGES = {"asked": 10, "waiting": 30, "starting": 60, "ready": 90}


def progress_event(seen: Seen | None, arrived: bool, trouble: str = "") -> dict[str, Any]:
    """One event of JupyterHub's progress stream: ``progress`` in percent, ``message``, ``stage``, ``detail``.

    ``trouble`` is why the scheduler could not be asked lately; what was known before is still shown.
    """
    if arrived:
        stage, message = (
            "ready",
            f"JupyterLab answers on {seen.node}." if seen else "JupyterLab answers.",
        )
    elif seen is None or seen.state is State.SUBMITTED:
        stage, message = "asked", "Asked for a place."
    elif seen.state is State.PENDING:
        stage, message = "waiting", f"Waiting: {seen.reason}." if seen.reason else "Waiting."
    elif seen.state is State.ENDED:
        stage, message = "starting", f"The job {seen.cause}."
    else:
        stage, message = (
            "starting",
            f"Starting JupyterLab on {seen.node}." if seen.node else "Starting.",
        )
    if trouble and not arrived:
        message += " The scheduler does not answer at the moment; this is what it said last."
    detail = f"job {seen.id}: {seen.detail}" if seen and seen.detail else ""
    return {"progress": STAGES[stage], "message": message, "stage": stage, "detail": detail}


def end_words(seen: Seen | None, tail: str) -> str:
    """Why a server's job ended before it was ready; from the second line on, the last lines that it wrote."""
    cause = seen.cause if seen and seen.cause else "is gone"
    place = f" on {seen.node}" if seen and seen.node else ""
    words = f"The job{place} {cause} before JupyterLab was ready."
    return f"{words}\n{tail}" if tail else f"{words} It wrote nothing."
