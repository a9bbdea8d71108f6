"""The other end of `child.py`: starts it, requests rounds, measures its memory and ends it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Optional

HERE = Path(__file__).parent


class ChildFailed(Exception):
    """A side raised, or its process ended; the message is one line."""


class Child:
    """A process in which sides run."""

    def __init__(self, folder: Path, python: Optional[Path] = None) -> None:
        """`python` may be the interpreter of another environment."""
        self.began = time.perf_counter()
        self._log = (folder / f"log-{time.monotonic_ns()}").open("w+")
        self._process = subprocess.Popen(
            [str(python or sys.executable), str(HERE / "child.py"), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            # Flower's own processes find the sides and the work there.
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent / "harness")]),
                "BENCHMARK_FOLDER": str(folder),
                "TF_CPP_MIN_LOG_LEVEL": "3",
            },
        )

    def run(self, side: str, rounds: int) -> dict[str, Any]:
        """See `child.py`.

        Raises:
            ChildFailed: the rounds could not be run.
        """
        assert self._process.stdin and self._process.stdout
        with contextlib.suppress(BrokenPipeError):
            print(
                json.dumps({"side": side, "rounds": rounds}), file=self._process.stdin, flush=True
            )
        line = self._process.stdout.readline()
        if not line:
            raise ChildFailed(f"its process ended with code {self._process.wait()}: {self._said()}")
        answer = json.loads(line)
        if "error" in answer:
            raise ChildFailed(answer["error"])
        return answer

    def _said(self) -> str:
        self._log.seek(0)
        return (self._log.read().strip().splitlines() or [""])[-1]

    def processor_time(self) -> float:
        """Returns the processor time of all processes of the tree (clock_getcpuclockid(3))."""
        return sum(time.clock_gettime((~pid << 3) | 2) for pid in _tree(self._process.pid))

    def peak_memory(self) -> float:
        """Returns the peak memory of all processes of the tree (VmHWM, proc(5)), summed up, in MiB.

        Pages of files are shared by processes of one program, and count once for each program.
        """
        programs: dict[str, list[tuple[int, int]]] = {}
        for pid in _tree(self._process.pid):
            with contextlib.suppress(OSError):  # it may have ended
                lines = Path(f"/proc/{pid}/status").read_text().splitlines()
                held = dict(line.split(":", 1) for line in lines)
                kib = [int(held.get(key, "0").split()[0]) for key in ("VmHWM", "RssFile")]
                program = str(Path(f"/proc/{pid}/exe").readlink())
                programs.setdefault(program, []).append((kib[0], kib[1]))
        return (
            sum(
                sum(peak - file for peak, file in pages) + max(file for _, file in pages)
                for pages in programs.values()
            )
            / 1024
        )

    def end(self) -> None:
        """Ends the process and whatever it left running, such as TFF's worker."""
        tree = {pid: _started(pid) for pid in _tree(self._process.pid)}
        with contextlib.suppress(BrokenPipeError):
            self._process.communicate(timeout=20)
        for pid, started in tree.items():
            if started is not None and _started(pid) == started:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self._process.wait()
        self._log.close()


def _stat(pid: int) -> Optional[list[str]]:
    """Returns the fields of /proc/PID/stat from the third on, or None without such a process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def _started(pid: int) -> Optional[str]:
    fields = _stat(pid)
    return fields[19] if fields else None


def _tree(root: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        if fields := _stat(int(folder.name)):
            children.setdefault(int(fields[1]), []).append(int(folder.name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found
