"""What a refused submission means to the person: which field it speaks of, and who can help; for ending.py."""

from __future__ import annotations

import re

# What sbatch, sudo and our helper say (from slurm_errno.c and helper.py) -> kind, field on screen, next step.
_REFUSALS = (
    (
        r"no Unix account",
        "account",
        "Account",
        "Ask your administrator for an account on the cluster.",
    ),
    (
        r"may not start jobs for",
        "account",
        "Account",
        "Ask your administrator to let Shopfloor start jobs for you.",
    ),
    (
        r"home directory .* is full|disk that holds .* is full",
        "home",
        "Home",
        "Remove what you no longer need, then try again.",
    ),
    (r"home directory", "home", "Home", "Ask your administrator to repair your home directory."),
    (
        r"accounting/qos policy|submit limit|AssocMax|AssocGrp",
        "limit",
        "Project",
        "Wait until another job of yours ends, ask for less, or ask whoever manages the project.",
    ),
    (
        r"invalid account|account/partition combination",
        "project",
        "Project",
        "Choose another project, or ask your administrator to add you to one in Slurm.",
    ),
    (
        r"invalid qos|qos",
        "priority",
        "Priority class",
        "Choose another one, or ask whoever manages the project.",
    ),
    (r"time limit", "limit", "Time limit", "Ask for a shorter time."),
    (r"reservation", "reservation", "Booked seats", "Choose other seats, or leave them empty."),
    (
        r"partition|user's group",
        "partition",
        "Hardware",
        "Choose other hardware, or ask your administrator for access.",
    ),
    (r"memory", "limit", "Memory", "Ask for less memory."),
    (r"gres|gpu", "limit", "GPUs", "Ask for fewer GPUs, or another type."),
    (
        r"node (?:configuration|count)|cpu count|more processors",
        "limit",
        "Hardware",
        "Ask for less: no node has all of it.",
    ),
)


def refused(said: str, at: str) -> tuple[str, str, str]:
    """Kind, sentence and next step for what was said; ``at`` stands where the sentence names the time."""
    # Our own refusals end with advice, which is the next step's to give.
    words = re.sub(r"(?:: ask your administrator|: remove something).*", "", said)
    words = words.removeprefix("The job was not accepted: ").rstrip(". ")
    for pattern, kind, field, step in _REFUSALS:
        if re.search(pattern, words, re.IGNORECASE):
            return kind, f"Not started at {at}. {field}: {words}.", step
    return "refused", f"Not started at {at}: {words}.", "Change it and try again, or get help."
