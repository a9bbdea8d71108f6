"""``pytest-federated worker``: a TFF worker that others connect to."""

from __future__ import annotations

import argparse
from typing import Any


def add(commands: Any) -> None:
    """Adds the command to argparse's subparsers."""
    worker = commands.add_parser(
        "worker",
        help="run a TFF worker here, for --fed-workers elsewhere",
        description="Runs TFF's worker until Ctrl-C. It listens on all addresses of this machine "
        "and does what anyone who reaches the port tells it to: see docs/scaling.md.",
    )
    worker.add_argument("--port", type=_port, required=True, metavar="N", help="1 to 65535")
    worker.add_argument("--threads", type=int, metavar="N", help="compute threads (default: all)")
    worker.set_defaults(run=_run)


def _port(text: str) -> int:
    port = int(text)
    if not 1 <= port <= 65535:
        raise ValueError(text)
    return port


_port.__name__ = "port"  # argparse says: invalid port value


def _run(chosen: argparse.Namespace) -> int:
    from pytest_federated.tff.serve import serve

    serve(chosen.port, chosen.threads)
    return 0
