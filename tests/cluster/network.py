"""A cluster's wires: one bridge in the host's namespace, one network namespace per node on it."""

from __future__ import annotations

import ipaddress
import json
import subprocess
from pathlib import Path

from .errors import ClusterError
from .layout import NODES, Layout


def build_commands(layout: Layout) -> list[list[str]]:
    """The `ip` commands (without the leading `ip`) that make bridge and namespaces."""
    local = ["local", layout.hub_address, "dev", layout.bridge, "src", layout.hub_address]
    commands = [
        ["link", "add", layout.bridge, "type", "bridge"],
        *_no_address_of_its_own(layout.bridge),
        ["address", "add", f"{layout.hub_address}/24", "dev", layout.bridge],
        ["link", "set", layout.bridge, "up"],
        # slurmdbd's small messages meet delayed acknowledgements, 40 ms each, dozens per sacctmgr.
        [
            "route",
            "change",
            "table",
            "local",
            *local,
            "proto",
            "kernel",
            "scope",
            "host",
            "quickack",
            "1",
        ],
    ]
    for node in NODES:
        space, outside = layout.namespace(node), layout.interface(node)
        commands += [
            ["netns", "add", space],
            ["link", "add", outside, "type", "veth", "peer", "name", "eth0", "netns", space],
            *_no_address_of_its_own(outside),
            ["link", "set", outside, "master", layout.bridge, "up"],
            ["-n", space, "link", "set", "lo", "up"],
            ["-n", space, "address", "add", f"{layout.address(node)}/24", "dev", "eth0"],
            ["-n", space, "link", "set", "eth0", "up"],
        ]
    return commands


def _no_address_of_its_own(interface: str) -> list[list[str]]:
    """Or each that comes, and each cable that is pulled, has every browser on this machine drop what it loads."""
    has_ipv6 = Path("/proc/sys/net/ipv6").is_dir()
    return [["link", "set", interface, "addrgenmode", "none"]] if has_ipv6 else []


def build(layout: Layout) -> None:
    """Make bridge and namespaces. Raises ClusterError with what `ip` said."""
    for command in build_commands(layout):
        done = _ip(command)
        if done.returncode:
            raise ClusterError(f"ip {' '.join(command)} failed: {done.stderr.strip()}")


def remove(layout: Layout) -> None:
    """Remove what is there of bridge and namespaces; the veth pairs go with the namespaces."""
    for node in NODES:
        if layout.namespace(node) in namespaces():
            _ip(["netns", "delete", layout.namespace(node)])
        # A namespace lives on for moments after its last process; the outer end need not wait.
        if layout.interface(node) in interfaces():
            _ip(["link", "delete", layout.interface(node)])
    if layout.bridge in interfaces():
        _ip(["link", "delete", layout.bridge])


def namespaces() -> set[str]:
    """Names of the network namespaces of this machine."""
    return {line.split()[0] for line in _ip(["netns", "list"]).stdout.splitlines() if line}


def interfaces() -> set[str]:
    """Names of the interfaces in the host's namespace."""
    return {link["ifname"] for link in json.loads(_ip(["-json", "link"]).stdout or "[]")}


def is_free(layout: Layout) -> bool:
    """Whether no route of this machine touches the cluster's subnet and no bridge has its name."""
    wanted = ipaddress.ip_network(layout.subnet)
    for route in json.loads(_ip(["-json", "-4", "route"]).stdout or "[]"):
        if route["dst"] != "default" and wanted.overlaps(
            ipaddress.ip_network(route["dst"], strict=False)
        ):
            return False
    return layout.bridge not in interfaces()


def _ip(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["ip", *command], capture_output=True, text=True, timeout=20, check=False)
