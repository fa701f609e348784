"""Slurm's reason and end codes in plain words, each with a next step; a code that is not here is shown as it is."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Reason:
    """Why a job waits: ``words`` go on after "Waiting: ", ``step`` is a sentence on what the person can do.

    ``queues`` is whether it just waits for its turn, so that a place in line and an expected start mean something.
    """

    words: str
    step: str = ""
    queues: bool = False


PATIENCE = "It starts by itself; you need to do nothing."
TELL_ADMIN = "Only an administrator can change that: ask for help."
LESS = "Change it to ask for less."
PROJECT = "Ask whoever manages the project, or choose another one."
LATER = "It starts when one of them ends."

# From squeue(1), JOB REASON CODES, and the names that squeue prints beside them (Slurm 22.05 to 24.11).
REASONS = {
    "None": Reason("Slurm has not looked at it yet", PATIENCE, queues=True),
    "Resources": Reason("what it needs is in use", PATIENCE, queues=True),
    "Priority": Reason("others are before it", PATIENCE, queues=True),
    "SchedDefer": Reason("Slurm looks at it a little later", PATIENCE, queues=True),
    "BeginTime": Reason("it may not start yet", PATIENCE),
    "Dependency": Reason("it waits for another job", "It starts when that job has ended."),
    "DependencyNeverSatisfied": Reason(
        "the job that it waits for can no longer end well", "Cancel it and ask again."
    ),
    "Licenses": Reason("a licence is in use", "It starts when somebody gives the licence back."),
    "Reservation": Reason(
        "its booked seats are not open yet", "It starts when the booking begins."
    ),
    "ReservationDeleted": Reason(
        "its booked seats were given up", "Change it and leave booked seats empty."
    ),
    "ReqNodeNotAvail": Reason(
        "a node that it needs is not available, for example for maintenance",
        "It starts when the node is back, or change it to other hardware.",
    ),
    "Prolog": Reason("its node is being prepared", PATIENCE),
    "Cleaning": Reason("what is left of its last run is being cleaned up", PATIENCE),
    "JobArrayTaskLimit": Reason("as many of its copies run as may run at once", LATER),
    "MaxPoweredUpNodes": Reason("as many nodes are switched on as may be", PATIENCE),
    "PowerNotAvail": Reason("there is not enough electric power for it now", PATIENCE),
    "PowerReserved": Reason("electric power is kept for other jobs", PATIENCE),
    "MPIPortsBusy": Reason("the network ports that it needs are in use", PATIENCE),
    "BurstBufferResources": Reason("fast storage that it needs is in use", PATIENCE),
    "BurstBufferStageIn": Reason("its data are being brought to fast storage", PATIENCE),
    "BurstBufferOperation": Reason("fast storage for it cannot be set up", TELL_ADMIN),
    "FedJobLock": Reason("the clusters agree on which of them runs it", PATIENCE),
    # The machine is in the way
    "NodeDown": Reason(
        "a node that it needs is down",
        "It starts when the node is back, or change it to other hardware.",
    ),
    "FrontEndDown": Reason("the machine that starts jobs is down", TELL_ADMIN),
    "PartitionDown": Reason(
        "this part of the machine is switched off", "Change it to other hardware."
    ),
    "PartitionInactive": Reason(
        "this part of the machine takes no jobs at the moment", "Change it to other hardware."
    ),
    "PartitionConfig": Reason(
        "this part of the machine does not take such jobs", "Change it to other hardware."
    ),
    "BlockMaxError": Reason("too many of the nodes that it needs have errors", TELL_ADMIN),
    "BlockFreeAction": Reason("the nodes that it needs are being freed", PATIENCE),
    "SystemFailure": Reason("Slurm, a file system or the network failed", TELL_ADMIN),
    "JobLaunchFailure": Reason("its start failed on the node", "Cancel it and ask again."),
    # It asks for what it cannot get
    "BadConstraints": Reason("no node has all that it asks for", LESS),
    "PartitionTimeLimit": Reason(
        "its time limit is above what this hardware allows", "Change it to a shorter time."
    ),
    "PartitionNodeLimit": Reason("it asks for more or fewer nodes than this hardware gives", LESS),
    "MaxMemPerLimit": Reason("it asks for more memory per CPU or node than a job may have", LESS),
    "DeadLine": Reason("it can no longer end before its deadline", "Cancel it and ask again."),
    # Somebody holds it
    "JobHeldAdmin": Reason("an administrator holds it", TELL_ADMIN),
    "JobHeldUser": Reason(
        "it is held under your name", "Release it with scontrol release, or cancel it."
    ),
    "JobHoldMaxRequeue": Reason(
        "it was started too often without success", "Cancel it and ask again."
    ),
    "launch failed requeued held": Reason("its start failed on the node", TELL_ADMIN),
    "job requeued in held state": Reason("an administrator put it back and holds it", TELL_ADMIN),
    "job requeued in special exit state": Reason(
        "it ended in an unusual way and is held", TELL_ADMIN
    ),
    "user env retrieval failed requeued held": Reason(
        "your settings could not be read on the node", TELL_ADMIN
    ),
    "Nodes required for job are DOWN, DRAINED or reserved for jobs in higher priority partitions": Reason(
        "the nodes that it needs are down or kept for others", PATIENCE, queues=True
    ),
    # Project and priority class
    "InvalidAccount": Reason("its project is not valid here", PROJECT),
    "AccountNotAllowed": Reason("its project may not use this hardware", PROJECT),
    "AccountingPolicy": Reason("a rule of its project keeps it from starting", PROJECT),
    "InvalidQOS": Reason("its priority class is not valid here", "Change it to another one."),
    "QOSNotAllowed": Reason(
        "its priority class may not use this hardware", "Change it to another one."
    ),
    "QOSUsageThreshold": Reason(
        "its project used too much lately for this priority class", PROJECT
    ),
    "AssociationJobLimit": Reason("its project runs as many jobs as it may", LATER),
    "AssociationResourceLimit": Reason("its project uses as much as it may", LATER),
    "AssociationTimeLimit": Reason("its project has used up its time", PROJECT),
    "QOSJobLimit": Reason("as many jobs of this priority class run as may", LATER),
    "QOSResourceLimit": Reason("this priority class uses as much as it may", LATER),
    "QOSTimeLimit": Reason("this priority class has used up its time", PROJECT),
    # Reasons that stay behind when a job has ended
    "TimeLimit": Reason("it reached its time limit", "Change it to a longer time."),
    "InactiveLimit": Reason("it was idle for too long", "Ask again."),
    "NonZeroExitCode": Reason("it failed", "Ask again."),
    "OutOfMemory": Reason("it ran out of memory", "Change it to more memory."),
}

# AssocGrp…, QOSMax…PerUser and their like: whose limit, what kind of limit, on what, over time, for each what.
_LIMIT = re.compile(
    r"(?P<whose>Assoc|QOS|)(?P<kind>Grp|Max|Min)"
    r"(?P<what>Cpu|CPU|Memory|Mem|Node|GRES|Gres|License|Energy|BB|Billing|Unknown"
    r"|SubmitJobs|SubmitJob|Jobs|WallDuration|Wall)"
    r"(?P<over>RunMinutes|Minutes|)(?P<each>PerJob|PerNode|PerUser|PerAccount|)"
    r"(?:Limit|NotSatisfied|)"
)
# What is limited: asked for by one job, held by several, and used up over time.
_WHAT = {
    "cpu": ("more CPUs", "as many CPUs in use", "CPU-hours"),
    "memory": ("more memory", "as much memory in use", "memory over time"),
    "node": ("more nodes", "as many nodes in use", "node-hours"),
    "gres": ("more GPUs", "as many GPUs in use", "GPU-hours"),
    "license": ("more licences", "as many licences in use", "licence-hours"),
    "energy": ("more energy", "as much energy in use", "energy over time"),
    "bb": ("more fast storage", "as much fast storage in use", "fast storage over time"),
    "billing": ("more credits", "as many credits in use", "credits over time"),
    "unknown": ("more of a resource", "as much of a resource in use", "share of a resource"),
    "jobs": ("more jobs", "as many jobs running", "jobs"),
    "submitjobs": ("more jobs", "as many jobs in the queue", "jobs"),
    "wall": ("more time", "as much time in use", "time"),
}
_OTHER_NAMES = {"mem": "memory", "submitjob": "submitjobs", "wallduration": "wall"}
_OWNERS = {"Assoc": "its project", "QOS": "its priority class", "": "its project"}


def _limit(code: str) -> Reason | None:
    """The reason in a name such as ``QOSMaxGRESPerUser``, put together from its parts."""
    found = _LIMIT.fullmatch(code)
    if not found:
        return None
    owner, what = _OWNERS[found["whose"]], found["what"].lower()
    more, used, long = _WHAT[_OTHER_NAMES.get(what, what)]
    kind, over, each = found["kind"], found["over"], found["each"]
    if kind == "Min":
        fewer = more.replace("more", "fewer" if more.endswith("s") else "less", 1)
        return Reason(f"it asks for {fewer} than {owner} demands", "Change it to ask for more.")
    if what == "wallduration":
        return Reason(f"its time limit is above that of {owner}", "Change it to a shorter time.")
    if kind == "Max" and each in ("PerJob", "PerNode"):
        asked = f"would use more {long}" if over else f"asks for {more}"
        place = "one job" if each == "PerJob" else "a job on one node"
        return Reason(f"it {asked} than {owner} allows {place}", LESS)
    if over == "RunMinutes":
        return Reason(f"the running jobs of {owner} have claimed all of its {long}", LATER)
    if over or what == "wall":
        return Reason(f"{owner} has used up its {long}", PROJECT)
    if kind == "Max" and each != "PerAccount":
        return Reason(f"you have {used} as {owner} allows", LATER)
    return Reason(f"{owner} has {used} as it may", LATER)


def reason(code: str) -> Reason:
    """Why a job waits; ``code`` as in ``squeue --format=%r``, unknown ones verbatim and without a step."""
    whole = code.replace("_", " ").strip("() ")
    head = code.split(",")[0].strip("() ")
    return REASONS.get(whole) or REASONS.get(head) or _limit(head) or Reason(code)


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
    """Why a job waits, in words."""
    return reason(code).words


def cause_words(state: str, reason: str = "") -> str:
    """Why a job ended, in words; ``state`` as in ``squeue --format=%T``, unknown ones verbatim."""
    words = CAUSES.get(state, state)
    if state == "FAILED" and reason and reason not in ("None", "NonZeroExitCode"):
        return f"{words} ({reason})"
    return words
