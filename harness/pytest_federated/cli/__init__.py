"""The subcommands of `pytest-federated`, one module each.

A module has `add`, which takes argparse's subparsers and adds its own, with ``run`` as a default:
a function of the parsed arguments that returns the exit code.
"""

from pytest_federated.cli import calibrate, check, compare, describe, prune, report, schema, worker
from pytest_federated.cli import list as listing

# In the order in which --help shows them.
COMMANDS = (check, describe, calibrate, compare, report, prune, listing, schema, worker)

__all__ = ["COMMANDS"]
