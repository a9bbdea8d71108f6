"""TFF's compiler for its native runtime, for a suite that compiles hundreds of computations."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Optional

from pytest_federated.tff.compiled import CompiledComputations
from pytest_federated.tff.internals import remembering_compiler

_kept: Optional[CompiledComputations] = None


def keep_compiled(folder: Optional[Path], conditions: str = "") -> None:
    """Has what is compiled from now on be kept in a folder, and found there; None ends this.

    `conditions` says what else the compiler's results depend on.
    """
    global _kept
    kept = CompiledComputations(folder, conditions) if folder else None
    if kept is None or _kept is None or not kept.is_as(_kept):
        _kept = kept


def native(computation: Any) -> Any:
    """Returns a TFF computation in the form that TFF's native executors take."""
    import tensorflow_federated as tff

    if _kept is None:
        return _compiled(computation)
    message: Any = type(computation).get_proto(computation)
    key = _kept.key(message)
    if key is None:
        return _compiled(computation)
    if (known := _kept.read(key)) is not None:
        return tff.framework.deserialize_computation(type(message).FromString(known))
    compiled = _compiled(computation)
    _kept.add(key, type(compiled).get_proto(compiled).SerializeToString())
    return compiled


def _compiled(computation: Any) -> Any:
    import tensorflow_federated as tff

    with remembering_compiler():
        return tff.backends.native.desugar_and_transform_to_native(simulated(computation))


def simulated(computation: Any) -> Any:
    """Returns a TFF computation whose secure sums are plain sums of the same arithmetic.

    TFF's native executors have no secure sums; its test backend simulates them.
    """
    import tensorflow_federated as tff

    serialized = type(computation).get_proto(computation).SerializeToString()
    if b"federated_secure_" not in serialized:
        return computation
    replaced = tff.backends.test.replace_secure_intrinsics_with_bodies(computation)
    # It drops the Python classes of results, such as that of the server's state.
    return type(replaced).with_type(replaced, computation.type_signature)
