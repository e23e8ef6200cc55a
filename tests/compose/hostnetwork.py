"""What a Docker engine changes on the machine beside its containers (bridges, iptables rules, forwarding), and how that is undone."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from tests.compose.commands import PATH, run

#: Where the engine's networks may lie: the first that no route of the machine and no name server touches.
_CANDIDATES = tuple(
    IPv4Network(f"{block}.0.0/16")
    for block in (*(f"10.{number}" for number in range(213, 250)), *(f"172.{number}" for number in range(20, 32)))
)
_IP_FORWARD = Path("/proc/sys/net/ipv4/ip_forward")
_TABLES = ("nat", "filter")
#: A rule that an engine made names one of its chains or bridges, or an address of its networks.
_CHAIN_OR_BRIDGE = re.compile(r"\bDOCKER\b|\bdocker0\b|\bbr-[0-9a-f]{12}\b")
_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")


@dataclass(frozen=True)
class Forwarding:
    """How the machine forwarded packets before the engine came: the policy of iptables' FORWARD chain, and the kernel's switch."""

    policy: str
    switch: str


def forwarding() -> Forwarding:
    """The present state."""
    policy = re.search(r"^-P FORWARD (\w+)", _output("iptables", "-S", "FORWARD"), re.MULTILINE)
    assert policy is not None
    return Forwarding(policy[1], _IP_FORWARD.read_text().strip())


def free_network(taken: Iterable[IPv4Network]) -> IPv4Network:
    """The first candidate that overlaps nothing that is taken."""
    taken = tuple(taken)
    return next(network for network in _CANDIDATES if not any(network.overlaps(other) for other in taken))


def taken_networks() -> Iterator[IPv4Network]:
    """The networks the machine has a route to, and its name servers."""
    for line in Path("/proc/net/route").read_text().splitlines()[1:]:
        destination, mask = (IPv4Address(bytes.fromhex(field)[::-1]) for field in (line.split()[1], line.split()[7]))
        if int(mask):
            yield IPv4Network(f"{destination}/{mask}")
    for line in Path("/etc/resolv.conf").read_text().splitlines():
        if line.startswith("nameserver") and (address := _ADDRESS.search(line)):
            yield IPv4Network(address[0])


def undo(before: Forwarding, network: IPv4Network) -> None:
    """Remove the bridges and the rules of an engine that had this network, and set forwarding as it was."""
    for table in _TABLES:
        saved = _output("iptables-save", "-t", table)
        restored = without_engine(saved, network, before.policy)
        if restored != saved:
            _output("iptables-restore", "-T", table, text=restored)
    for bridge in bridges(network):
        _output("ip", "link", "delete", bridge)
    _IP_FORWARD.write_text(before.switch)


def bridges(network: IPv4Network) -> list[str]:
    """Docker's bridges with an address in the network, and those that have none, as those of a network without a gateway."""
    found = []
    for link in json.loads(_output("ip", "-json", "-4", "address", "show", "type", "bridge")):
        addresses = [IPv4Address(item["local"]) for item in link.get("addr_info", [])]
        if "ifname" in link and _CHAIN_OR_BRIDGE.search(link["ifname"]) and all(address in network for address in addresses):
            found.append(link["ifname"])
    return found


def without_engine(saved: str, network: IPv4Network, policy: str) -> str:
    """What iptables-save said, without the chains and rules of an engine, and with this policy of FORWARD."""
    lines = [line for line in saved.splitlines(keepends=True) if line.startswith("#") or not _is_engines(line, network)]
    return re.sub(r"^:FORWARD \w+", f":FORWARD {policy}", "".join(lines), flags=re.MULTILINE)


def _is_engines(line: str, network: IPv4Network) -> bool:
    return bool(_CHAIN_OR_BRIDGE.search(line)) or any(IPv4Address(address) in network for address in _ADDRESS.findall(line))


def _output(*command: str, text: str | None = None) -> str:
    return run(command, {"PATH": PATH}, text=text).stdout
