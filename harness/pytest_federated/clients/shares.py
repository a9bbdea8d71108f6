"""Shares of clients, of which there is a whole number."""

from __future__ import annotations


def share_of_none(share: float, clients: int, so: str) -> str:
    """Returns what is wrong with a share that is none of so many clients; empty where it is some.

    `so` goes on after "of 3 clients that is".
    """
    if not share or round(share * clients):
        return ""
    of = "the one client" if clients == 1 else f"{clients} clients"
    return f"got {share:g}; of {of} that is {so}; allowed: more than {0.5 / clients:.3g}"
