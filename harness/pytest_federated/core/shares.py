"""Shares of clients, of which there is a whole number."""

from __future__ import annotations

import math


def share_of_none(share: float, clients: int, so: str) -> str:
    """Returns what is wrong with a share that is none of so many clients; empty where it is some.

    `so` goes on after "of 3 clients that is".
    """
    if not share or not clients or round(share * clients):
        return ""
    of = "the one client" if clients == 1 else f"{clients} clients"
    return f"got {share:g}; of {of} that is {so}; allowed: more than {least(0.5 / clients)}"


def least(share: float) -> str:
    """Returns a share above 0 in three digits, rounded up: as it is written, it is enough."""
    unit = 10.0 ** (2 - math.floor(math.log10(share)))
    return f"{math.ceil(share * unit - 1e-9) / unit:g}"
