"""The text of Slurm's configuration files, built from a Layout and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

from .layout import NODES, PARTITIONS, Layout, Node

GPU_MINUTES = 12000
SHORT_QOS_MINUTES = 30


@dataclass(frozen=True)
class Settings:
    """What a test may want otherwise than usual.

    ``slurmd_timeout`` is how long a node may be silent, in seconds; ``cpus`` and ``memory`` (MiB) what every node
    claims to have (0: what the layout says); with ``preemption``, a QOS whose ``Preempt`` names another takes its
    jobs' places.
    """

    slurmd_timeout: int = 60
    cpus: int = 0
    memory: int = 0
    preemption: bool = False


def slurm_conf(layout: Layout, settings: Settings) -> str:
    """slurm.conf, the same file for controller, nodes and commands."""
    run = layout.run
    nodes = "\n".join(_node(layout, node, settings) for node in NODES)
    preemption = "PreemptType=preempt/qos\nPreemptMode=CANCEL\n" if settings.preemption else ""
    partitions = "\n".join(_partition(name) for name in PARTITIONS)
    return f"""\
ClusterName={layout.slurm_name}
# Literal addresses: no command or daemon has to look a name up.
SlurmctldHost=login({layout.hub_address})
SlurmctldPort={layout.slurmctld_port}
SlurmdPort={layout.slurmd_port}
CommunicationParameters=NoCtldInAddrAny
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={layout.munge_socket}
CryptoType=crypto/munge
StateSaveLocation={run}/state
SlurmdSpoolDir={run}/spool/%n
SlurmctldPidFile={run}/pid/slurmctld.slurm
SlurmdPidFile={run}/pid/slurmd-%n.slurm
SlurmctldLogFile={layout.logs}/slurmctld.log
SlurmdLogFile={layout.logs}/slurmd-%n.log
SlurmctldDebug=info
SlurmdDebug=info
MailProg=/bin/true
SwitchType=switch/none
MpiDefault=none
ReturnToService=2

ProctrackType=proctrack/cgroup
TaskPlugin=task/cgroup
Epilog={layout.etc}/epilog
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=5

# A failure is noticed while a person or a test still looks.
SlurmctldTimeout=30
SlurmdTimeout={settings.slurmd_timeout}
MessageTimeout=10
KillWait=10
MinJobAge=300
InactiveLimit=0

SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=5,bf_interval=5,bf_continue
EnforcePartLimits=ALL
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=300
PriorityType=priority/multifactor
PriorityCalcPeriod=1
PriorityWeightQOS=10000
PriorityWeightAge=1000
PriorityWeightFairshare=1000
{preemption}
AccountingStorageType=accounting_storage/slurmdbd
# slurmdbd calls back at the address that slurmctld came from, and that one listens only there.
AccountingStorageHost={layout.hub_address}
AccountingStoragePort={layout.slurmdbd_port}
AccountingStoragePass={layout.munge_socket}
AccountingStorageEnforce=associations,limits,qos
AccountingStorageTRES=gres/gpu

GresTypes=gpu
# The nodes claim more than this machine has.
SlurmdParameters=config_overrides
{nodes}
{partitions}
"""


def _node(layout: Layout, node: Node, settings: Settings) -> str:
    cpus, memory = settings.cpus or node.cpus, settings.memory or node.memory
    gres = f" Gres=gpu:{node.gpu_type}:{node.gpus}" if node.gpus else ""
    return (
        f"NodeName={node.name} NodeHostname={node.name} NodeAddr={layout.address(node)} "
        f"CPUs={cpus} Sockets=1 CoresPerSocket={cpus} ThreadsPerCore=1 "
        f"RealMemory={memory}{gres} State=UNKNOWN"
    )


def _partition(name: str) -> str:
    nodes = ",".join(node.name for node in NODES if node.partition == name)
    default = "YES" if name == PARTITIONS[0] else "NO"
    return (
        f"PartitionName={name} Nodes={nodes} Default={default} MaxTime=08:00:00 "
        "DefaultTime=01:00:00 OverSubscribe=NO State=UP"
    )


def gres_conf(layout: Layout) -> str:
    """gres.conf: each GPU is a device node that the devices cgroup can close."""
    return "".join(
        f"NodeName={node.name} Name=gpu Type={node.gpu_type} File={device}\n"
        for node in NODES
        for device in layout.gpu_devices(node)
    )


def cgroup_conf() -> str:
    """cgroup.conf: memory and devices are limited, cores are not (nodes claim more than exist)."""
    return """\
CgroupPlugin=cgroup/v1
CgroupAutomount=no
CgroupMountpoint=/sys/fs/cgroup
ConstrainRAMSpace=yes
ConstrainDevices=yes
ConstrainCores=no
"""


def slurmdbd_conf(layout: Layout) -> str:
    """slurmdbd.conf; the database's socket comes from MYSQL_UNIX_PORT, there is no key for it."""
    return f"""\
AuthType=auth/munge
AuthInfo=socket={layout.munge_socket}
DbdHost=localhost
DbdAddr={layout.hub_address}
DbdPort={layout.slurmdbd_port}
SlurmUser=root
PidFile={layout.pids}/slurmdbd.slurm
LogFile={layout.logs}/slurmdbd.log
DebugLevel=info
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=root
StorageLoc=slurm
"""


def epilog() -> str:
    """Kill what a finished job left on its node; slurmd runs it as root, in the node's namespaces."""
    return """\
#!/bin/sh
job="/sys/fs/cgroup/*/slurm_$SLURMD_NODENAME/uid_$SLURM_JOB_UID/job_$SLURM_JOB_ID"
find $job -name cgroup.procs -exec cat {} + 2>/dev/null | sort -u | while read -r pid; do
    kill -KILL "$pid" 2>/dev/null
done
exit 0
"""


def hosts(layout: Layout) -> str:
    """/etc/hosts of the nodes."""
    lines = ["127.0.0.1 localhost", "::1 localhost", f"{layout.hub_address} login"]
    lines += [f"{layout.address(node)} {node.name}" for node in NODES]
    return "\n".join(lines) + "\n"


def nsswitch_conf() -> str:
    """/etc/nsswitch.conf of the nodes: names come from files, so that no look-up waits for DNS."""
    return "passwd: files\ngroup: files\nshadow: files\nhosts: files\nservices: files\n"


def resolv_conf() -> str:
    """/etc/resolv.conf of the nodes, for what reads it itself: refused at once, never a timeout."""
    return "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n"
