"""A port for TFF's worker that nobody else can connect to.

The worker listens on all addresses, runs what it is sent and asks for no password; its binary has
no option for any of that (tensorflow_federated/cc/simulation/servers.cc), and firewalls are for
root. But the sockets of one user may share a port, and a program attached to the port says which of
them gets a connection (SO_REUSEPORT and SO_ATTACH_REUSEPORT_CBPF in socket(7), Linux 4.6). Here a
socket of ours listens first, and gets every connection that is not meant for the worker. It drops
each packet, so to the network the port looks like that of a machine that is switched off.
"""

from __future__ import annotations

import contextlib
import ctypes
import ipaddress
import secrets
import socket
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

_SO_ATTACH_FILTER, _SO_ATTACH_REUSEPORT_CBPF = 26, 51  # asm-generic/socket.h

# Classic BPF (linux/filter.h): each instruction is a code, two jumps, and an operand.
_Instruction = tuple[int, int, int, int]
_LOAD_BYTE, _LOAD_WORD, _AND, _EQUALS, _RETURN = 0x30, 0x20, 0x54, 0x15, 0x06
_HEADER = -0x100000 & 0xFFFFFFFF  # SKF_NET_OFF: offsets from here are into the header of IP
_OURS, _WORKER = 0, 1  # sockets of the port, in the order in which they began to listen

_SIOCGIFADDR, _IFREQ_BYTES = 0x8915, 40  # netdevice(7)

_CONNECT_SECONDS = 0.02  # on loopback a connection takes no time, or is dropped


class WorkerPort:
    """A TCP port, kept for a worker until both have closed it.

    Attributes:
        number: the port.
        is_private: whether the kernel keeps others from it; if not, anybody can connect.

    """

    def __init__(self, number: int = 0) -> None:
        """Takes the port, any free one for 0; until `admit` is called it admits nobody.

        Raises:
            OSError: the port is taken.

        """
        self._socket = _bound(number)
        self.number: int = self._socket.getsockname()[1]
        self.is_private = True
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            self._attach(_SO_ATTACH_FILTER, [_returns(0)])  # drops all packets
            self.shut()
            self._socket.listen(1)
            self.is_private = self.is_shut()
        except OSError:
            self.is_private = False
        if not self.is_private:  # an old kernel, or one that is not Linux
            self.give_up()

    def give_up(self) -> None:
        """Leaves the port to the worker and to everybody."""
        self.is_private = False
        self.close()

    def inherited(self) -> list[int]:
        """Returns the descriptors that the worker has to inherit, which keep the port safe."""
        return [self._socket.fileno()] if self.is_private else []

    def admit(self, host: Optional[str] = None) -> str:
        """Admits whoever connects to `host`, and nobody else; returns it.

        By default it is one of the 16 million addresses of loopback, which nobody can guess.
        """
        if not self.is_private:
            return "127.0.0.1"
        host = host or str(ipaddress.IPv4Address(0x7F000001 + secrets.randbelow(0xFFFFFD)))
        self._attach(_SO_ATTACH_REUSEPORT_CBPF, _to_address(host))
        return host

    def admit_loopback(self) -> None:
        """Admits everybody on this machine, by any address of loopback."""
        if self.is_private:
            self._attach(_SO_ATTACH_REUSEPORT_CBPF, _to_loopback())

    def shut(self) -> None:
        """Admits nobody any more; connections stay."""
        if self.is_private:
            self._attach(_SO_ATTACH_REUSEPORT_CBPF, [_returns(_OURS)])

    def connect(self, seconds: float = 1) -> socket.socket:
        """Returns a connection to the worker, and admits nobody afterwards.

        Raises:
            OSError: the worker does not listen.

        """
        try:
            connection = socket.create_connection((self.admit(), self.number), seconds)
        finally:
            self.shut()
        connection.setblocking(False)
        return connection

    def answers(self) -> bool:
        """Whether the worker listens; admits nobody afterwards."""
        try:
            self.connect(_CONNECT_SECONDS).close()
        except OSError:
            return False
        return True

    def is_shut(self) -> bool:
        """Whether a connection to 127.0.0.1 fails."""
        try:
            socket.create_connection(("127.0.0.1", self.number), _CONNECT_SECONDS).close()
        except OSError:
            return True
        return False

    def close(self) -> None:
        """Closes our side; what the worker inherited keeps the port shut as long as it lives."""
        self._socket.close()

    def _attach(self, option: int, program: Sequence[_Instruction]) -> None:
        code = b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
        buffer = ctypes.create_string_buffer(code, len(code))
        value = struct.pack("HP", len(program), ctypes.addressof(buffer))
        self._socket.setsockopt(socket.SOL_SOCKET, option, value)


def _family() -> socket.AddressFamily:
    """Returns the family of gRPC's sockets: IPv6, for both, where loopback has it."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return socket.AF_INET6
    return socket.AF_INET


def _bound(number: int) -> socket.socket:
    bound = socket.socket(_family())
    try:
        if bound.family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        if number:  # though connections to a worker that was there just now are still ending
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(("", number))  # before it may be shared, so that it is no one else's
    except BaseException:
        bound.close()
        raise
    return bound


def _returns(value: int) -> _Instruction:
    return (_RETURN, 0, 0, value)


def _to_address(host: str) -> list[_Instruction]:
    """Chooses the worker for what is sent to one IPv4 address."""
    return [
        (_LOAD_BYTE, 0, 0, _HEADER),  # the version is in its upper half
        (_AND, 0, 0, 0xF0),
        (_EQUALS, 0, 3, 0x40),
        (_LOAD_WORD, 0, 0, _HEADER + 16),  # destination
        (_EQUALS, 0, 1, int(ipaddress.IPv4Address(host))),
        _returns(_WORKER),
        _returns(_OURS),
    ]


def _to_loopback() -> list[_Instruction]:
    """Chooses the worker for what is sent to 127.0.0.0/8 or ::1."""
    return [
        (_LOAD_BYTE, 0, 0, _HEADER),
        (_AND, 0, 0, 0xF0),
        (_EQUALS, 0, 2, 0x40),
        (_LOAD_BYTE, 0, 0, _HEADER + 16),
        (_EQUALS, 8, 9, 127),
        (_LOAD_WORD, 0, 0, _HEADER + 24),
        (_EQUALS, 0, 7, 0),
        (_LOAD_WORD, 0, 0, _HEADER + 28),
        (_EQUALS, 0, 5, 0),
        (_LOAD_WORD, 0, 0, _HEADER + 32),
        (_EQUALS, 0, 3, 0),
        (_LOAD_WORD, 0, 0, _HEADER + 36),
        (_EQUALS, 0, 1, 1),
        _returns(_WORKER),
        _returns(_OURS),
    ]


def has_other_addresses() -> bool:
    """Whether an interface of this machine besides loopback has an address."""
    import fcntl  # here, as Windows has none and reads this module all the same

    names = [name for _, name in socket.if_nameindex() if name != "lo"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        for name in names:
            with contextlib.suppress(OSError):  # it has no IPv4 address
                fcntl.ioctl(any_socket, _SIOCGIFADDR, name.encode().ljust(_IFREQ_BYTES, b"\0"))
                return True
    with contextlib.suppress(OSError):  # no IPv6 on this machine
        six = Path("/proc/net/if_inet6").read_text(encoding="ascii")
        return any(line.split()[-1] in names for line in six.splitlines())
    return False
