"""Processes that tests start or look at."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Optional

from forked_programs import Program, environment


def worker_pids(parent: Optional[int] = None) -> set[int]:
    """Returns the IDs of running TFF workers, without zombies, of one parent or of all."""
    found = set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = status.read_text().partition("(")[2].rpartition(")")
        except OSError:  # it ended just now
            continue
        state, of = rest.split()[:2]
        if name == "worker_binary" and state != "Z" and parent in (None, int(of)):
            found.add(int(status.parent.name))
    return found


def descendants(root: int) -> set[int]:
    """Returns the IDs of all processes below `root`."""
    children: dict[int, set[int]] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(status.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        children.setdefault(parent, set()).add(int(status.parent.name))
    found, todo = set(), [root]
    while todo:
        new = children.get(todo.pop(), set())
        found |= new
        todo += new
    return found


def wait_until(holds: Any, seconds: float = 150) -> bool:
    """Says whether `holds()` became true within `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.05)
    return bool(holds())


def is_running(pid: int) -> bool:
    """Says whether the process runs and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def pytest_run(folder: Path, *arguments: str, fresh: bool = False) -> str:
    """Returns the output of a pytest in `folder`, which may not contain a traceback.

    `fresh` starts a new Python, with its own hash seed, which imports TFF if the run needs it.
    """
    if fresh:
        output = subprocess.run(
            [sys.executable, "-m", "pytest", *arguments],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment(),
            text=True,
            timeout=150,
        ).stdout
    else:
        output = Program("pytest", *arguments, cwd=folder).communicate()
    assert "Traceback" not in output, output[-5000:]
    return output
