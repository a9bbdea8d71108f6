"""An environment for Flower, whose requirements conflict with TensorFlow Federated's."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import platformdirs

VERSION = "1.41.0"
REQUIRED = [f"flwr[simulation]=={VERSION}", "numpy==1.26.4"]
TENSORFLOW = "tensorflow-cpu==2.20.0"  # TensorFlow 2.14 needs another protobuf than Flower


class Unavailable(Exception):
    """The environment cannot be created; the message is one line."""


def python(with_tensorflow: bool = False) -> Path:
    """Returns the environment's interpreter; the first call creates it in the user's cache folder.

    There are two environments, as Flower imports TensorFlow if it is installed.

    Raises:
        Unavailable: there is no uv, or no package registry.
    """
    cache = Path(platformdirs.user_cache_dir("pytest-federated", appauthor=False))
    folder = cache / "benchmarks" / f"flower-{VERSION}{'-tf' * with_tensorflow}"
    uv = os.environ.get("UV") or shutil.which("uv")
    if uv is None:
        raise Unavailable("uv is not installed")
    interpreter = folder / "bin" / "python"
    if not interpreter.exists():
        _run([uv, "venv", "--python", sys.executable, str(folder)])
    required = [*REQUIRED, *[TENSORFLOW] * with_tensorflow]
    _run([uv, "pip", "install", "--python", str(interpreter), *required])
    return interpreter


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        said = " ".join(done.stderr.split())
        raise Unavailable(f"'uv {command[1]}' failed: {said[:200]}")
