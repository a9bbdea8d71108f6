"""``pytest-federated worker``: a TFF worker that others connect to."""

from __future__ import annotations

from typing import Optional

import click

from pytest_federated.cli.parameters import Number

_PORT = Number(int, lambda port: 1 <= port <= 65535, "a port is a number from 1 to 65535")


@click.command("worker", short_help="Run a TFF worker here, for --fed-workers elsewhere.")
@click.option("--port", type=_PORT, required=True, metavar="N", help="1 to 65535.")
@click.option("--threads", type=int, metavar="N", help="Compute threads (default: all).")
def command(port: int, threads: Optional[int]) -> None:
    """Run a TFF worker here, for --fed-workers elsewhere, until Ctrl-C.

    It listens on all addresses of this machine and does what anyone who reaches the port tells it
    to: see docs/scaling.md.
    """
    from pytest_federated.tff.serve import serve

    serve(port, threads)
