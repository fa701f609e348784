"""`make bench NAME=pages`: how fast the hub's pages answer, with Slurm well and while slurmctld hangs.

One person who waits for a GPU and one who has nothing look at home, form and waiting page in turn. Human words go to
stderr; the last line of stdout is one flat JSON object, times in milliseconds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Mapping

from tests.cases import Case, end_case, slurm_case
from tests.cluster import neighbour, requirements
from tests.cluster.cluster import Cluster
from tests.cluster.errors import ClusterError
from tests.cluster.outages import hanging
from tests.faults.person import Person
from tests.harness import wait_until
from tests.software import ensure_software

WAITS, IDLE = "alice", "bob"
HANGING_FOR = 30  # seconds before the second count: every time limit of ours has passed, and what was fresh is old


def say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def median_ms(person: Person, path: str, rounds: int) -> float:
    """The median of so many answers, which must all be the page itself."""
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        answer = person.get(f"{person.hub.url}{path}", timeout=60, allow_redirects=False)
        taken.append((time.perf_counter() - began) * 1000)
        assert answer.status_code == 200, (path, answer.status_code, answer.text[:500])
    return statistics.median(taken)


def look(people: Mapping[str, Person], rounds: int, label: str) -> dict[str, float]:
    paths = {
        "home": (IDLE, "/hub/home"),
        "form": (IDLE, f"/hub/spawn/{IDLE}"),
        "waiting": (WAITS, f"/hub/spawn-pending/{WAITS}"),
    }
    found = {}
    for name, (person, path) in paths.items():
        found[f"{name}_{label}_ms"] = round(median_ms(people[person], path, rounds), 1)
        say(f"{name:<8} {label:<8} {found[f'{name}_{label}_ms']} ms")
    return found


def wait_for_a_gpu(case: Case, people: Mapping[str, Person]) -> None:
    """All GPUs are somebody else's, and one person waits for them."""
    neighbour.hold_gpus(case.cluster)
    people[WAITS].start(preset="one-gpu")
    wait_until(
        lambda: (case.hub.server(WAITS) or {}).get("pending") == "spawn", 30, f"{WAITS} waits"
    )


def run(cluster: Cluster, case: Case, rounds: int) -> dict[str, float]:
    people = {name: Person(case.hub, name, case.passwords[name]) for name in (WAITS, IDLE)}
    wait_for_a_gpu(case, people)
    found = look(people, rounds, "well")
    with hanging(cluster, "slurmctld"):
        say(f"slurmctld hangs for {HANGING_FOR} s")
        time.sleep(HANGING_FOR)  # the outage has to last, not to come about
        found |= look(people, rounds, "hanging")
    found["worst_hanging_ms"] = max(ms for name, ms in found.items() if name.endswith("hanging_ms"))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=40, help="looks at each page (default 40)")
    chosen = parser.parse_args()
    if chosen.rounds < 1:
        parser.error("--rounds is at least 1")
    try:
        requirements.check()
        prefix = ensure_software()
        with Cluster(say=say) as cluster:
            case = slurm_case(cluster, prefix)
            try:
                found = run(cluster, case, chosen.rounds)
            finally:
                end_case(case)
    except ClusterError as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
