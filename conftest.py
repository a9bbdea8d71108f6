"""How the tests of pytest-federated run: with pytest inside pytest, and on all cores."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Optional

import pytest

pytest_plugins = ["pytester"]

# Container images often disable bytecode. The tests start Python hundreds of times; importing TFF
# takes 3 s from bytecode and 10 s from source.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Distributes the tests over the cores, unless the command line names tests or says otherwise.

    The tests of a file stay together, as they share what they build. Scenarios run as they do for
    any user, so that their progress is shown.
    """
    if hasattr(config, "workerinput"):  # xdist's processes run this hook, too
        return
    option = config.option
    of_all = config.args_source is config.ArgsSource.TESTPATHS
    is_watched = option.usepdb or option.capture == "no" or option.collectonly
    if of_all and not is_watched and getattr(option, "numprocesses", 0) is None:
        option.numprocesses = min(4, os.cpu_count() or 1) + 1  # some always wait for TFF's worker
        option.dist = "loadfile"
        option.loadscopereorder = False  # would run files with few but long tests last


# What takes minutes to hours, and runs only where it is asked for.
PAPERS = Path(__file__).parent / "scenarios" / "papers"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> Optional[bool]:
    """Leaves the papers out unless -m names their tag or an argument lies among them.

    pytest says at the end which files it does not read.
    """
    if collection_path != PAPERS or "paper" in config.option.markexpr:
        return None
    named = [(config.invocation_params.dir / arg.split("::")[0]).resolve() for arg in config.args]
    return None if any(PAPERS in (arg, *arg.parents) for arg in named) else True
