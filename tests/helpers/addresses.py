"""Addresses of this machine, and which of them accept connections to a port."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import suppress


def of_loopback() -> list[str]:
    found = ["127.0.0.1", "127.1.2.3"]
    with suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        found.append("::1")
    return found


def of_the_network() -> list[str]:
    """Returns the addresses that other machines would use; none without a network."""
    found: list[str] = []
    for family, anywhere in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((anywhere, 9))  # sends nothing
            found.append(probe.getsockname()[0])
    return found


def reachable(port: int, hosts: Sequence[str]) -> set[str]:
    """Returns the addresses that accept a connection to the port."""
    found = set()
    for host in hosts:
        with suppress(OSError):
            socket.create_connection((host, port), 0.05).close()
            found.add(host)
    return found
