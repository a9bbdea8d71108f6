"""The subcommands of `fedharness`, one module each.

A module has `add`, which takes argparse's subparsers and adds its own, with ``run`` as a default:
a function of the parsed arguments that returns the exit code.
"""

from harness.commands import (
    calibrate,
    check,
    compare,
    describe,
    listing,
    prune,
    report,
    schema,
    worker,
)

# In the order in which --help shows them.
COMMANDS = (check, describe, calibrate, compare, report, prune, listing, schema, worker)

__all__ = ["COMMANDS"]
