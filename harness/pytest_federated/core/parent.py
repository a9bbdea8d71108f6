"""Programs that end together with the process that started them.

Run as a script, ``parent.py PARENT_PID BINARY ARG...``, it becomes another program after asking the
kernel for that. It is a process of its own because the request has to be made between fork and
exec, and code in a forked copy of a process that runs TensorFlow's threads can deadlock.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # prctl(2)


def end_with_parent() -> None:
    """Has the kernel kill this process as soon as its parent is gone; on Linux only.

    By itself a process notices that the pipe to its parent is closed, and then waits for what it
    computes.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def ending_with_this(command: list[str]) -> list[str]:
    """Returns the command that starts a program which ends together with this process."""
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *command]


def main() -> None:
    """Asks the kernel, checks that it was not too late, and becomes the program."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    end_with_parent()
    if os.getppid() != parent:  # it ended before the request was in force
        sys.exit(1)
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
