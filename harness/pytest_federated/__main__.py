"""The `pytest-federated` command: everything except training itself."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Optional

import click

from pytest_federated.core.errors import FederatedError

# In the order of --help; each is the `command` of a module in cli/.
COMMANDS = (
    "init",
    "check",
    "describe",
    "calibrate",
    "compare",
    "report",
    "prune",
    "list",
    "schema",
    "worker",
)


class Commands(click.Group):
    """Imports a command's module when the command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> Optional[click.Command]:
        if cmd_name not in COMMANDS:
            return None
        return import_module(f"pytest_federated.cli.{cmd_name}").command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
            return result
        except BrokenPipeError:  # `pytest-federated list splits | head`
            sys.stderr.close()
            return 0


@click.group("pytest-federated", cls=Commands)
@click.version_option(package_name="pytest-federated", message="%(prog)s %(version)s")
def command() -> None:
    """Check, describe, calibrate and compare federated-learning scenarios.

    Scenarios run by pytest; everything else is here.
    """


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Runs the command and returns its exit code: 0, or 1 for what is wrong in files.

    Raises:
        SystemExit: with code 2, after a message, for wrong usage.

    """
    path = list(sys.path)  # to which pytest adds folders, in commands that load its plugins
    try:
        return command.main(arguments, "pytest-federated", standalone_mode=False) or 0
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort as error:
        raise KeyboardInterrupt from error
    except FederatedError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        sys.path[:] = path


if __name__ == "__main__":
    sys.exit(main())
