"""Calling the functions with which users make models of their own."""

from __future__ import annotations

import inspect
import traceback
from typing import Any

from harness.errors import ModelError
from harness.runtime.user_code import load
from harness.training.models.base import Shape, first_line


def call_own(key: str, reference: str, shape: Shape, args: dict[str, Any]) -> Any:
    """What the function `reference`, ``"module:function"``, of the key `model.<key>` returns.

    It is called with `args`, and with `input_shape`, `num_classes`, `task` and `input_spec` where
    it has parameters of these names.

    Raises:
        ModelError: the function cannot be imported, or raises.

    """
    import tensorflow as tf

    module, _, name = reference.partition(":")
    try:
        # TFF builds models while autograph rewrites what it meets, and imports are not for it.
        function = tf.autograph.experimental.do_not_convert(load)(reference)
    except ModuleNotFoundError as bad:
        raise ModelError(
            f"model.{key}: {first_line(bad)}; looked in the scenario's folder, the folder where "
            "pytest runs, and the installed packages"
        ) from bad
    except AttributeError as bad:
        raise ModelError(f"model.{key}: the module {module!r} has no function {name!r}") from bad
    except Exception as bad:
        raise ModelError(f"model.{key}: importing {module!r} raised {_where(bad)}") from bad
    known = {
        "input_shape": shape.input_shape,
        "num_classes": shape.num_classes,
        "task": shape.kind,
        "input_spec": shape.spec(),
    }
    try:
        wanted = inspect.signature(function).parameters
        return function(**{k: v for k, v in known.items() if k in wanted}, **args)
    except Exception as bad:
        raise ModelError(f"model.{key}: {reference} raised {_where(bad)}") from bad


def _where(error: BaseException) -> str:
    """The error's first line and the innermost line of the user's code that led to it."""
    frames = [
        f
        for f in traceback.extract_tb(error.__traceback__)
        if f.filename != __file__
        and "site-packages" not in f.filename
        and "importlib" not in f.filename
    ]
    place = (
        f" (line {frames[-1].lineno} of {frames[-1].filename}: {frames[-1].line})" if frames else ""
    )
    return f"{first_line(error)}{place}"
