"""Every reason for which Slurm lets a job wait has plain words and a next step; nothing else is made up."""

from __future__ import annotations

import re

import pytest
from shopfloor_jobs.reasons import Reason, cause_words, reason, reason_words

# The names that squeue(1) documents and prints as %r, Slurm 22.05 to 24.11 (job_state_reason).
NAMES = """
AccountNotAllowed AccountingPolicy AssocGrpBB AssocGrpBBMinutes AssocGrpBBRunMinutes
AssocGrpBilling AssocGrpBillingMinutes AssocGrpBillingRunMinutes AssocGrpCPUMinutesLimit
AssocGrpCPURunMinutesLimit AssocGrpCpuLimit AssocGrpEnergy AssocGrpEnergyMinutes
AssocGrpEnergyRunMinutes AssocGrpGRES AssocGrpGRESMinutes AssocGrpGRESRunMinutes AssocGrpJobsLimit
AssocGrpLicense AssocGrpLicenseMinutes AssocGrpLicenseRunMinutes AssocGrpMemLimit
AssocGrpMemMinutes AssocGrpMemRunMinutes AssocGrpNodeLimit AssocGrpNodeMinutes
AssocGrpNodeRunMinutes AssocGrpSubmitJobsLimit AssocGrpUnknown AssocGrpUnknownMinutes
AssocGrpUnknownRunMinutes AssocGrpWallLimit AssocMaxBBMinutesPerJob AssocMaxBBPerJob
AssocMaxBBPerNode AssocMaxBillingMinutesPerJob AssocMaxBillingPerJob AssocMaxBillingPerNode
AssocMaxCpuMinutesPerJobLimit AssocMaxCpuPerJobLimit AssocMaxCpuPerNode
AssocMaxEnergyMinutesPerJob AssocMaxEnergyPerJob AssocMaxEnergyPerNode AssocMaxGRESMinutesPerJob
AssocMaxGRESPerJob AssocMaxGRESPerNode AssocMaxJobsLimit AssocMaxLicenseMinutesPerJob
AssocMaxLicensePerJob AssocMaxMemMinutesPerJob AssocMaxMemPerJob AssocMaxMemPerNode
AssocMaxNodeMinutesPerJob AssocMaxNodePerJobLimit AssocMaxSubmitJobLimit
AssocMaxUnknownMinutesPerJob AssocMaxUnknownPerJob AssocMaxUnknownPerNode
AssocMaxWallDurationPerJobLimit AssociationJobLimit AssociationResourceLimit AssociationTimeLimit
BadConstraints BeginTime BlockFreeAction BlockMaxError BurstBufferOperation BurstBufferResources
BurstBufferStageIn Cleaning DeadLine Dependency DependencyNeverSatisfied FedJobLock FrontEndDown
InactiveLimit InvalidAccount InvalidQOS JobArrayTaskLimit JobHeldAdmin JobHeldUser
JobHoldMaxRequeue JobLaunchFailure Licenses MPIPortsBusy MaxBBPerAccount MaxBillingPerAccount
MaxCpuPerAccount MaxEnergyPerAccount MaxGRESPerAccount MaxJobsPerAccount MaxLicensePerAccount
MaxMemPerLimit MaxMemoryPerAccount MaxNodePerAccount MaxPoweredUpNodes MaxSubmitJobsPerAccount
MaxUnknownPerAccount NodeDown NonZeroExitCode None OutOfMemory PartitionConfig PartitionDown
PartitionInactive PartitionNodeLimit PartitionTimeLimit PowerNotAvail PowerReserved Priority
Prolog QOSGrpBB QOSGrpBBMinutes QOSGrpBBRunMinutes QOSGrpBilling QOSGrpBillingMinutes
QOSGrpBillingRunMinutes QOSGrpCPUMinutesLimit QOSGrpCPURunMinutesLimit QOSGrpCpuLimit QOSGrpEnergy
QOSGrpEnergyMinutes QOSGrpEnergyRunMinutes QOSGrpGRES QOSGrpGRESMinutes QOSGrpGRESRunMinutes
QOSGrpJobsLimit QOSGrpLicense QOSGrpLicenseMinutes QOSGrpLicenseRunMinutes QOSGrpMemLimit
QOSGrpMemoryMinutes QOSGrpMemoryRunMinutes QOSGrpNodeLimit QOSGrpNodeMinutes QOSGrpNodeRunMinutes
QOSGrpSubmitJobsLimit QOSGrpUnknown QOSGrpUnknownMinutes QOSGrpUnknownRunMinutes QOSGrpWallLimit
QOSJobLimit QOSMaxBBPerJob QOSMaxBBPerNode QOSMaxBBPerUser QOSMaxBillingMinutesPerJob
QOSMaxBillingPerJob QOSMaxBillingPerNode QOSMaxBillingPerUser QOSMaxCpuMinutesPerJobLimit
QOSMaxCpuPerJobLimit QOSMaxCpuPerNode QOSMaxCpuPerUserLimit QOSMaxEnergyMinutesPerJob
QOSMaxEnergyPerJob QOSMaxEnergyPerNode QOSMaxEnergyPerUser QOSMaxGRESMinutesPerJob
QOSMaxGRESPerJob QOSMaxGRESPerNode QOSMaxGRESPerUser QOSMaxJobsPerUserLimit
QOSMaxLicenseMinutesPerJob QOSMaxLicensePerJob QOSMaxLicensePerUser QOSMaxMemoryMinutesPerJob
QOSMaxMemoryPerJob QOSMaxMemoryPerNode QOSMaxMemoryPerUser QOSMaxNodeMinutesPerJob
QOSMaxNodePerJobLimit QOSMaxNodePerUserLimit QOSMaxSubmitJobPerUserLimit
QOSMaxUnknownMinutesPerJob QOSMaxUnknownPerJob QOSMaxUnknownPerNode QOSMaxUnknownPerUser
QOSMaxWallDurationPerJobLimit QOSMinBB QOSMinBilling QOSMinCpuNotSatisfied QOSMinEnergy QOSMinGRES
QOSMinLicense QOSMinMemory QOSMinNode QOSMinUnknown QOSNotAllowed QOSResourceLimit QOSTimeLimit
QOSUsageThreshold ReqNodeNotAvail Reservation ReservationDeleted Resources SchedDefer
SystemFailure TimeLimit
"""
DOCUMENTED = re.findall(r"\w+", NAMES)
SENTENCES = [
    "ReqNodeNotAvail, UnavailableNodes:gpu01",
    "ReqNodeNotAvail, Reserved for maintenance",
    "ReqNodeNotAvail,_UnavailableNodes:gpu[01-02]",
    "launch failed requeued held",
    "launch_failed_requeued_held",
    "job requeued in held state",
    "job requeued in special exit state",
    "user env retrieval failed requeued held",
    "Nodes required for job are DOWN, DRAINED or reserved for jobs in higher priority partitions",
    "Nodes_required_for_job_are_DOWN,_DRAINED_or_reserved_for_jobs_in_higher_priority_partitions",
]


@pytest.mark.parametrize("code", DOCUMENTED + SENTENCES)
def test_every_documented_reason_has_words_and_a_next_step(code: str):
    found = reason(code)
    assert found.words != code and code not in found.words
    assert re.fullmatch(r"[A-Z][^.]*\.", found.step), found.step
    # Words go on after "Waiting: ", so they neither begin nor end a sentence.
    assert not found.words.endswith(".")
    assert len(found.words) <= 90


def test_the_list_is_the_whole_of_slurms():
    assert len(set(DOCUMENTED)) == len(DOCUMENTED) > 180


@pytest.mark.parametrize("code", ["", "MadeUpReason", "QOSMaxTeapotsPerUser", "AssocMax", "Grp"])
def test_an_unknown_reason_is_shown_as_it_is_without_advice(code: str):
    assert reason(code) == Reason(code)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("Resources", "what it needs is in use"),
        ("AssocGrpGRES", "its project has as many GPUs in use as it may"),
        ("AssocGrpGRESMinutes", "its project has used up its GPU-hours"),
        (
            "AssocGrpCPURunMinutesLimit",
            "the running jobs of its project have claimed all of its CPU-hours",
        ),
        ("AssocMaxJobsLimit", "you have as many jobs running as its project allows"),
        ("QOSMaxGRESPerUser", "you have as many GPUs in use as its priority class allows"),
        (
            "QOSMaxSubmitJobPerUserLimit",
            "you have as many jobs in the queue as its priority class allows",
        ),
        ("QOSMaxWallDurationPerJobLimit", "its time limit is above that of its priority class"),
        ("QOSMaxCpuPerJobLimit", "it asks for more CPUs than its priority class allows one job"),
        (
            "QOSMaxMemoryPerNode",
            "it asks for more memory than its priority class allows a job on one node",
        ),
        ("QOSMinGRES", "it asks for fewer GPUs than its priority class demands"),
        ("MaxGRESPerAccount", "its project has as many GPUs in use as it may"),
    ],
)
def test_limits_are_read_from_the_parts_of_their_names(code: str, words: str):
    assert reason_words(code) == words


def test_only_what_waits_for_its_turn_is_in_the_queue():
    turns = {code for code in DOCUMENTED if reason(code).queues}
    assert turns == {"None", "Priority", "Resources", "SchedDefer"}


def test_a_job_that_failed_keeps_slurms_own_reason():
    assert cause_words("FAILED", "NonZeroExitCode") == "failed"
    assert cause_words("FAILED", "JobLaunchFailure") == "failed (JobLaunchFailure)"
    assert cause_words("SOMETHING_NEW") == "SOMETHING_NEW"
