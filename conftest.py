"""How the tests of pytest-federated run: with pytest inside pytest, and on all cores."""

import os
import sys

import pytest

pytest_plugins = ["pytester"]

# Container images often forbid it. The tests start Python some hundred times, which takes 3 s to
# import TFF from bytecode, and 10 s from source.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Shares the tests out among the cores, unless the command line names some or says otherwise.

    A file of tests stays together, as what it builds is shared. Scenarios, whose progress is to be
    seen, run as they do for any user.
    """
    if hasattr(config, "workerinput"):  # of xdist's processes, which run this hook, too
        return
    option = config.option
    of_all = config.args_source is config.ArgsSource.TESTPATHS
    is_watched = option.usepdb or option.capture == "no" or option.collectonly
    if of_all and not is_watched and getattr(option, "numprocesses", 0) is None:
        option.numprocesses = min(4, os.cpu_count() or 1)
        option.dist = "loadfile"
        option.loadscopereorder = False  # by number of tests, which puts the longest files last
