"""What is said to Slurm and read from it, with values alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from shopfloor_jobs.job import Job, Seen, State
from shopfloor_jobs.request import Request
from shopfloor_jobs.slurm import sudo_command, sudo_words
from shopfloor_jobs.slurm_text import (
    clean_complaint,
    describe,
    environment_bytes,
    first_node,
    is_no_answer,
    parse_gres,
    parse_sbatch,
    parse_squeue,
    parse_walltime,
    request_arguments,
    sbatch_arguments,
    squeue_arguments,
    squeue_environment,
    task_ids,
)

TAG = "shopfloor-server-0123456789abcdef"
MARK = "6d61726b"


def line(*columns: str) -> str:
    return MARK + MARK.join(columns)


HEADER = line(
    "JOBID", "USER", "STATE", "REASON", "NODELIST", "PARTITION", "SUBMIT_TIME", "START_TIME", "END_TIME", "PRIORITY",
    "NAME",
)  # fmt: skip
RUNNING = line("17", "alice", "RUNNING", "None", "gpu01", "gpu", "100", "110", "7310", "1", TAG)


def read(lines: str, addresses: dict[str, str] | None = None) -> list[Seen]:
    return parse_squeue(f"{HEADER}\n{lines}\n", MARK, addresses)


def test_a_request_becomes_sbatchs_options_rounded_up():
    request = Request(
        cpus=4,
        memory=1500 * 1024**2 + 1,
        gpus=2,
        gpu_type="a100",
        time=61,
        partition="gpu",
        account="vision",
    )
    assert request_arguments(request) == [
        "--nodes=1",
        "--ntasks-per-node=1",
        "--cpus-per-task=4",
        "--mem=1501M",
        "--time=2",
        "--gres=gpu:a100:2",
        "--partition=gpu",
        "--account=vision",
    ]
    assert "--gres=gpu:1" in request_arguments(Request(gpus=1))
    assert not any("gres" in one for one in request_arguments(Request()))


def test_no_text_of_a_person_stands_in_the_command():
    job = Job(
        TAG, "alice", "server", Request(), ("sh", "-c", "; id"), {"SECRET": "x"}, title="$(id)"
    )
    command = " ".join(sbatch_arguments(job, Path("/d"), Path("/h"), 7))
    assert "id)" not in command
    assert "SECRET" not in command
    assert "--array" not in command
    assert "--array=0-2" in sbatch_arguments(job, Path("/d"), Path("/h"), 7, count=3)


def test_an_environment_may_hold_anything_but_nul():
    assert environment_bytes({"A": "1\n2", "B": "ü="}) == b"A=1\n2\0" + "B=ü=".encode() + b"\0"


def test_a_job_is_read_with_its_times_and_address():
    [job] = read(RUNNING, {"gpu01": "10.0.0.5"})
    assert (job.id, job.owner, job.tag, job.state) == ("17", "alice", TAG, State.RUNNING)
    assert (job.node, job.address, job.started, job.ends) == ("gpu01", "10.0.0.5", 110.0, 7310.0)


def test_a_job_name_with_newlines_cannot_pretend_to_be_another_job():
    forged = "17|alice|RUNNING|None|evil|gpu|1|1|1|" + TAG
    named = line(
        "18", "bob", "PENDING", "None", "", "cpu", "1", "N/A", "N/A", "1", f"x\n{forged}\n{TAG}"
    )
    assert read(f"{named}\n{RUNNING}") == read(RUNNING)


def test_a_tag_of_somebody_else_is_theirs():
    [job] = read(RUNNING.replace("alice", "mallory"))
    assert job.owner == "mallory"


@pytest.mark.parametrize("garbage", [f"slurm_load_jobs error {MARK}", f"x{MARK}y"])
def test_garbage_is_no_answer(garbage: str):
    with pytest.raises(ValueError, match="squeue printed"):
        read(garbage)


@pytest.mark.parametrize(
    "output",
    ["", "\n", "slurm_load_jobs error: new\n", f"{RUNNING}\n", HEADER, f"{HEADER}\n{RUNNING}"],
)
def test_what_has_no_header_or_no_end_is_no_answer(output: str):
    with pytest.raises(ValueError, match="squeue printed"):
        parse_squeue(output, MARK)


def test_a_header_alone_says_that_there_is_no_job():
    assert parse_squeue(f"{HEADER}\n", MARK) == []


def test_waiting_and_ended_jobs_come_with_words():
    waiting = line("1", "a", "PENDING", "Resources", "", "gpu", "1", "N/A", "N/A", "1", TAG)
    ended = line("2", "a", "OUT_OF_MEMORY", "OutOfMemory", "gpu01", "gpu", "1", "2", "3", "1", TAG)
    strange = line("3", "a", "PENDING", "NewReason", "", "gpu", "1", "N/A", "N/A", "1", TAG)
    first, second, third = read("\n".join((waiting, ended, strange)))
    assert (first.reason, first.detail) == ("what it needs is in use", "Resources")
    assert (second.state, second.cause) == (State.ENDED, "ran out of memory")
    assert third.reason == "NewReason"


def test_a_waiting_job_has_its_place_among_everybodys_and_its_expected_start():
    def waiting(job_id: str, partition: str, priority: str, reason: str, name: str) -> str:
        return line(
            job_id, "x", "PENDING", reason, "", partition, "1", "900", "N/A", priority, name
        )

    output = "\n".join(
        [
            waiting("30", "gpu", "10", "Priority", TAG),
            waiting("12", "gpu", "10", "Priority", "older"),
            waiting("40", "gpu", "99", "Resources", "higher"),
            waiting("13", "gpu", "99", "JobHeldUser", "held, so not in line"),
            waiting("31", "gpu", "10", "Priority", "younger"),
            waiting("14", "cpu", "99", "Resources", "another line"),
            line("9", "x", "RUNNING", "None", "gpu01", "gpu", "1", "2", "3", "100", "runs"),
        ]
    )
    [job] = read(output)
    assert (job.place, job.expected, job.started, job.ends) == (3, 900.0, None, None)
    [held] = read(waiting("1", "gpu", "0", "JobHeldAdmin", TAG))
    assert held.place is None


def test_an_array_that_waits_is_one_line_and_each_of_its_tasks_a_job():
    waiting = line(
        "17_[0-1,4%2]", "x", "PENDING", "Resources", "", "gpu", "1", "N/A", "N/A", "5", TAG
    )
    others = line("9_[0-99999]", "x", "PENDING", "Priority", "", "gpu", "1", "N/A", "N/A", "9", "y")
    jobs = parse_squeue(f"{HEADER}\n{waiting}\n{others}\n", MARK)
    assert [(job.id, job.place) for job in jobs] == [("17_0", 2), ("17_1", 2), ("17_4", 2)]
    assert task_ids("17_[0-6:3]") == ["17_0", "17_3", "17_6"]
    with pytest.raises(ValueError, match="the array"):
        task_ids("17_[0-...]")


def test_what_is_left_of_an_array_whose_waiting_tasks_were_cancelled_is_no_task():
    runs = line("10_0", "x", "RUNNING", "None", "gpu01", "gpu", "1", "2", "3", "5", TAG)
    rest = line("10", "x", "CANCELLED", "Resources", "", "gpu", "1", "2", "3", "5", TAG)
    other = line("11", "x", "CANCELLED", "None", "", "gpu", "1", "2", "3", "5", TAG)
    jobs = parse_squeue(f"{HEADER}\n{runs}\n{rest}\n{other}\n", MARK)
    assert [job.id for job in jobs] == ["10_0", "11"]


def test_the_query_asks_for_every_job_and_its_columns_can_be_told_apart():
    assert "--states=all" in squeue_arguments()
    assert squeue_environment(MARK)["SQUEUE_FORMAT"].count(MARK) == 11


def test_of_an_array_that_is_larger_than_any_of_ours_the_first_tasks_are_told():
    assert len(task_ids("17_[0-9999999999]")) == len(task_ids("17_[0-6000,7000-9000]")) == 5000


@pytest.mark.parametrize(
    ("text", "node"),
    [("gpu01", "gpu01"), ("gpu[01-03,07],cpu1", "gpu01"), ("a1,b2", "a1"), ("", "")],
)
def test_the_first_node_of_a_list(text: str, node: str):
    assert first_node(text) == node


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1-00:00:00", 86400),
        ("08:00:00", 28800),
        ("30", 1800),
        ("10:30", 630),
        ("2-01", 176400),
        ("UNLIMITED", None),
    ],
)
def test_walltimes_are_read(text: str, seconds: int | None):
    assert parse_walltime(text) == seconds


def test_gpus_are_read_by_type():
    assert parse_gres("gpu:a100:4(S:0-1),gpu:l40:2,craynetwork:1") == {"a100": 4, "l40": 2}
    assert parse_gres("gpu:2") == {"gpu": 2}
    assert parse_gres("(null)") == {}


def test_a_cluster_is_described_by_its_largest_nodes():
    nodes = (
        "NodeName=a CPUTot=8 RealMemory=1000 Gres=gpu:a100:2 NodeAddr=10.0.0.1 Partitions=gpu,all OS=Linux 6 x\n"
        "NodeName=b CPUTot=16 RealMemory=500 Gres=(null) NodeAddr=10.0.0.2 Partitions=all\n"
    )
    partitions = (
        "PartitionName=gpu Default=NO MaxTime=02:00:00 State=UP AllocNodes=login01,lab[01-04]\n"
        "PartitionName=all Default=YES MaxTime=UNLIMITED State=DOWN AllocNodes=ALL\n"
    )
    described = describe(partitions, nodes, "slurm", "22.05")
    gpu, everything = described.partitions
    assert (gpu.nodes, gpu.cpus, gpu.gpus, gpu.time, gpu.up) == (1, 8, {"a100": 2}, 7200, True)
    assert (everything.cpus, everything.memory, everything.time) == (16, 1000 * 1024**2, None)
    assert not everything.up
    assert described.addresses == {"a": "10.0.0.1", "b": "10.0.0.2"}


def test_the_id_is_read_from_sbatch_or_refused():
    assert parse_sbatch("17;cluster\n") == "17"
    with pytest.raises(ValueError, match="no job id"):
        parse_sbatch("warning only")


def test_silence_is_told_from_refusal():
    assert is_no_answer("sbatch: error: Unable to contact slurm controller (connect failure)")
    assert not is_no_answer(
        "sbatch: error: Batch job submission failed: Invalid partition name specified"
    )
    complaint = "sbatch: error: invalid partition\nsbatch: error: Batch job submission failed: Invalid partition"
    assert clean_complaint(complaint) == "invalid partition; Invalid partition"


def test_sudo_is_asked_for_one_verb_and_its_complaints_are_words():
    assert sudo_command("alice", "/opt/h", "submit")[-3:] == ["--", "/opt/h", "submit"]
    assert "no Unix account 'eve'" in sudo_words("eve", "sudo: unknown user eve")
    assert "may not start jobs for 'eve'" in sudo_words("eve", "sudo: a password is required")
