"""How the tests of pytest-federated run: with pytest inside pytest, and on all cores."""

import os

import pytest

pytest_plugins = ["pytester"]


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
