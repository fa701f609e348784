"""Slurm's reason and end codes in plain words; a code that is not here is shown as it is."""

from __future__ import annotations

# From squeue(1), JOB REASON CODES. One sentence fragment each, after "Waiting: ".
REASONS = {
    "None": "Slurm has not looked at it yet",
    "Resources": "what it needs is in use",
    "Priority": "others are before it",
    "BeginTime": "it may not start yet",
    "Dependency": "it waits for another job",
    "Licenses": "a licence is in use",
    "NodeDown": "a node that it needs is down",
    "PartitionDown": "this part of the machine is down",
    "PartitionInactive": "this part of the machine takes no jobs at the moment",
    "PartitionTimeLimit": "its time limit is above that of the partition",
    "PartitionNodeLimit": "it asks for more nodes than the partition gives",
    "Reservation": "its reservation has not begun",
    "ReservationDeleted": "its reservation was deleted",
    "ReqNodeNotAvail": "a node that it needs is not available, for example for maintenance",
    "JobHeldAdmin": "an administrator holds it",
    "JobHeldUser": "it is held",
    "InvalidAccount": "its project is not valid here",
    "InvalidQOS": "its priority class is not valid here",
    "AssocGrpGRESMinutes": "the project has no GPU-hours left",
    "AssocGrpGRES": "the project uses all the GPUs that it may use at once",
    "AssocMaxJobsLimit": "you run as many jobs as you may",
    "QOSMaxJobsPerUserLimit": "you run as many jobs as you may",
    "QOSMaxGRESPerUser": "you use as many GPUs as you may",
    "QOSMaxWallDurationPerJobLimit": "its time limit is above that of its priority class",
    "JobArrayTaskLimit": "as many of its copies run as may run at once",
    "Prolog": "its node is being prepared",
}

CAUSES = {
    "COMPLETED": "ended by itself",
    "COMPLETING": "is ending",
    "FAILED": "failed",
    "CANCELLED": "was cancelled",
    "TIMEOUT": "reached its time limit",
    "OUT_OF_MEMORY": "ran out of memory",
    "NODE_FAIL": "its node failed",
    "BOOT_FAIL": "its node could not be started",
    "PREEMPTED": "gave way to a job of higher priority",
    "DEADLINE": "could not start before its deadline",
    "REVOKED": "was moved to another cluster",
}


def reason_words(code: str) -> str:
    """Why a job waits, in words; ``code`` as in ``squeue --format=%r``, unknown ones verbatim."""
    head = code.split(",")[0].strip("() ")
    return REASONS.get(head, code)


def cause_words(state: str, reason: str = "") -> str:
    """Why a job ended, in words; ``state`` as in ``squeue --format=%T``, unknown ones verbatim."""
    words = CAUSES.get(state, state)
    if state == "FAILED" and reason and reason not in ("None", "NonZeroExitCode"):
        return f"{words} ({reason})"
    return words
