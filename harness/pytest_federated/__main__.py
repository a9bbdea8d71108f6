"""The `pytest-federated` command: all but training itself."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Optional

from pytest_federated.cli import COMMANDS
from pytest_federated.core.errors import FederatedError


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Runs the command; returns its exit code: 0, 1 for what is wrong in files, 2 for usage."""
    parser = argparse.ArgumentParser("pytest-federated", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
    chosen = parser.parse_args(arguments)
    try:
        return chosen.run(chosen)
    except FederatedError as bad:
        print(bad, file=sys.stderr)
        return 1
    except BrokenPipeError:  # `pytest-federated list splits | head`
        sys.stderr.close()
        return 0


if __name__ == "__main__":
    sys.exit(main())
