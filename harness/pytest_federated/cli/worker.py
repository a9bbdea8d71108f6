"""``pytest-federated worker``: a TFF worker that others connect to."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import click

from pytest_federated.cli.parameters import PATH, Number

_PORT = Number(int, lambda port: 1 <= port <= 65535, "a port is a number from 1 to 65535")


@click.command("worker", short_help="Run a TFF worker here, for --fed-workers elsewhere.")
@click.option("--port", type=_PORT, required=True, metavar="N", help="1 to 65535.")
@click.option(
    "--threads",
    type=int,
    metavar="N",
    help="Clients to train at once (default: one for each core).",
)
@click.option(
    "--tls",
    type=PATH,
    metavar="FILE",
    help="Let other machines connect that have this key file, too; made if it does not exist.",
)
@click.option("--insecure", is_flag=True, help="Let everybody connect.")
def command(port: int, threads: Optional[int], tls: Optional[Path], insecure: bool) -> None:
    """Run a TFF worker here, for --fed-workers elsewhere, until Ctrl-C.

    Only this machine can connect to it, unless --tls or --insecure says otherwise: it does what it
    is told to by whoever connects. See docs/scaling.md.
    """
    from pytest_federated.tff.serve import serve

    if tls and insecure:
        raise click.UsageError("--tls and --insecure exclude each other")
    serve(port, threads, tls=tls, insecure=insecure)
