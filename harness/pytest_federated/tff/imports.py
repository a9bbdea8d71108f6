"""Importing TensorFlow Federated: only when a scenario runs, without its noise."""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import sys
import warnings
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from typing import Any, Optional

from pytest_federated.core import collector, signals
from pytest_federated.core.errors import RuntimeUnavailable

TFF_VERSION = "0.87.0"
_INSTALL = f"pip install --no-deps tensorflow-federated=={TFF_VERSION}"
_UV = "with uv: see docs/installing.md"

_quiet = True
_is_cut_off = False


def be_loud() -> None:
    """Lets TensorFlow and TFF write their messages to the terminal (``pytest -vv``)."""
    global _quiet
    _quiet = False


def log_level() -> str:
    """Returns TF_CPP_MIN_LOG_LEVEL for this process and its workers."""
    return "3" if _quiet else os.environ.get("TF_CPP_MIN_LOG_LEVEL", "0")


def missing() -> Optional[str]:
    """Returns one line that says why TFF cannot be imported here and what to do, or None.

    Nothing is imported.
    """
    if find_spec("tensorflow_federated") and find_spec("tensorflow"):
        return None
    system, machine = platform.system(), platform.machine()
    if (system, machine) != ("Linux", "x86_64"):
        return (
            f"tensorflow-federated {TFF_VERSION} has no wheel for {system} {machine}: run "
            "scenarios on Linux x86-64 (a container will do); 'pytest-federated check' and "
            "--collect-only work here"
        )
    if sys.version_info >= (3, 12):
        python = f"{sys.version_info[0]}.{sys.version_info[1]}"
        return (
            f"tensorflow-federated {TFF_VERSION} needs Python 3.9 to 3.11, and this is {python}: "
            "make an environment with an older Python"
        )
    return f"tensorflow-federated is not installed: {_INSTALL} ({_UV})"


def keep_grpc_out_of_forks() -> None:
    """Has gRPC leave copies of this process alone, such as those of a `multiprocessing.Pool`.

    Otherwise it starts threads in each of them, and one copy in five died of these (SIGSEGV). To be
    called before gRPC connects for the first time. A value that the user has set stays.
    """
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")


def import_tff() -> Any:
    """Imports TensorFlow and TFF and returns the module `tensorflow_federated`.

    The time limit does not count its time; neither the limit nor a Ctrl-C cuts it off.

    Raises:
        RuntimeUnavailable: it is missing or broken; the message has the command to run.

    """
    if reason := missing():
        raise RuntimeUnavailable(reason)
    global _is_cut_off
    is_first = "tensorflow_federated" not in sys.modules
    keep_grpc_out_of_forks()
    # The collector takes a seventh of the import, and frees nothing.
    with signals.uncounted(), silenced(), collector.paused():
        try:
            import tensorflow  # noqa: F401
            import tensorflow_federated as tff
        except Exception as error:  # a wrong jaxlib raises RuntimeError, a wrong protobuf TypeError
            if _is_cut_off:
                raise RuntimeUnavailable(
                    "the import of tensorflow-federated was cut off by Ctrl-C in this process, and "
                    "cannot be done twice: restart it"
                ) from error
            line = str(error).partition("\n")[0]
            raise RuntimeUnavailable(
                f"tensorflow-federated is broken here ({type(error).__name__}: {line}): {_repair()}"
            ) from error
        except BaseException:
            _is_cut_off = True
            raise
    if is_first:
        collector.keep()  # looking at it takes 0.3 s, again and again
    return tff


def _repair() -> str:
    """Returns the command that installs what is there in another version than required."""
    from packaging.requirements import Requirement

    unmet = []
    for text in requires("pytest-federated") or []:
        package = Requirement(text)
        if package.marker and not package.marker.evaluate({"extra": ""}):
            continue
        try:
            is_met = package.specifier.contains(version(package.name), prereleases=True)
        except PackageNotFoundError:
            is_met = False
        if not is_met:
            unmet.append(f"'{package.name}{package.specifier}'")
    what = " ".join(unmet) or f"--force-reinstall --no-deps tensorflow-federated=={TFF_VERSION}"
    return f"pip install {what} ({_UV})"


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Hides start-up messages and deprecation warnings of TensorFlow and TFF."""
    if not _quiet:
        yield
        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = log_level()
    with contextlib.suppress(ImportError):  # TFF's import says better what is missing
        from absl import logging as absl_logging

        absl_logging.set_verbosity(absl_logging.ERROR)
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
