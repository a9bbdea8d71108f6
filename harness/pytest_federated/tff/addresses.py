"""Addresses of remote workers, as written after ``--fed-workers``."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from typing import Union

from pytest_federated.core.errors import FederatedError

_ADDRESS = re.compile(
    r"(?:\[(?P<six>[^\[\]]+)\]|(?P<host>[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?))"
    r":(?P<port>[0-9]{1,5})"
)


def parse_addresses(text: Union[str, Sequence[str]]) -> tuple[str, ...]:
    """Returns the addresses of ``host:port,host:port``, or of a list of ``host:port``; none for "".

    An IPv6 address is in brackets: ``[fd00::5]:8000``. Hosts are returned in lower case.

    Raises:
        FederatedError: one line that says what is wrong.

    """
    parts = text if not isinstance(text, str) else text.split(",") if text.strip() else []
    addresses: list[str] = []
    for part in parts:
        address = _parse(part.strip())
        if address in addresses:
            raise FederatedError(f"{address} is given twice; name each worker once")
        addresses.append(address)
    return tuple(addresses)


def _parse(text: str) -> str:
    match = _ADDRESS.fullmatch(text)
    if match is None:
        is_six = re.fullmatch(r"[0-9a-fA-F:.]+", text) and text.count(":") > 1
        hint = "; an IPv6 address needs brackets: [fd00::5]:8000" if is_six else ""
        raise FederatedError(f"got {text!r}; must be host:port, such as 10.0.0.5:8000{hint}")
    port = int(match["port"])
    if not 1 <= port <= 65535:
        raise FederatedError(f"got {text!r}; the port must be from 1 to 65535")
    if match["six"] is None:
        return f"{match['host'].lower()}:{port}"
    try:
        return f"[{ipaddress.IPv6Address(match['six'])}]:{port}"
    except ValueError:
        raise FederatedError(f"got {text!r}; there is no IPv6 address in the brackets") from None
