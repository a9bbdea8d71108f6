"""TFF's compiler for its native runtime, for a suite that compiles hundreds of computations."""

from __future__ import annotations

from typing import Any

from pytest_federated.tff.internals import remembering_compiler


def context_arguments(tff: Any) -> dict[str, Any]:
    """Returns the arguments of TFF's own native contexts, except for their executors."""
    return {
        "compiler_fn": native,
        "transform_args": tff.tensorflow.transform_args,
        "transform_result": tff.tensorflow.transform_result,
    }


def native(computation: Any) -> Any:
    """Returns a TFF computation in the form that TFF's native executors take."""
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
