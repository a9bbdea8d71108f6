"""Everything that comes from the private parts of TensorFlow, TFF and TensorFlow Privacy.

No other file imports them. Each entry says why the public API will not do, and has a test in
tests/integration/tff/test_internals.py that fails once the entry may go. What has to be replaced
in a private module is put back after use.
"""

from __future__ import annotations

import contextlib
import hashlib
import random
import sys
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, Callable, Optional

import numpy as np

_MAX_TYPES = 5_000  # remembered, the most recently used
_MAX_GRAPHS = 200
_MAX_GRAPH_BYTES = 100_000

# What is replaced in a private module is replaced by one thread at a time.
_compiler_lock, _tfrecords_lock = threading.Lock(), threading.Lock()

# --- The worker process and the connection to it

# The call that frees values in a worker, here none: it answers at once, even while it computes.
# TFF's public stubs have no call that asks whether a worker is there.
PING_METHOD = "/tensorflow_federated.v0.ExecutorGroup/Dispose"


def worker_binary() -> Optional[Path]:
    """Returns where TFF's worker program is or should be, without importing TFF.

    TFF's own factory starts the program with our stdout and does not end it with Python.
    """
    spec = find_spec("tensorflow_federated")
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0]) / "data" / "worker_binary"


def stub_with_deadline(channel: Any, seconds: float) -> Any:
    """Returns a `tff.framework.RemoteExecutorGrpcStub` that waits only `seconds` to free values.

    The public stub waits forever, and fails, where the worker is gone; freeing is a courtesy.
    """
    import tensorflow_federated as tff

    class Stub(tff.framework.RemoteExecutorGrpcStub):
        def dispose(self, request: Any) -> None:
            with contextlib.suppress(Exception):
                self._stub.Dispose(request, timeout=seconds)

        def dispose_executor(self, request: Any) -> None:
            with contextlib.suppress(Exception):
                self._stub.DisposeExecutor(request, timeout=seconds)

    return Stub(channel)


def lean_executor() -> Any:
    """Returns a class like `tff.framework.RemoteExecutor` that sends an argument as one message.

    The public one sends each part by a call of its own, copies its message at each level of its
    nesting and traces each array, which takes a third of the processor time of a small round, and
    most of handing over a large one.
    """
    import tensorflow_federated as tff
    from tensorflow_federated.proto.v0 import executor_pb2
    from tensorflow_federated.python.core.impl.executors import executor_value_base, remote_executor

    messages: Any = executor_pb2  # pyright sees no generated names

    class Unsent(executor_value_base.ExecutorValue):
        """An argument, or a part of one, that is sent when it is complete."""

        def __init__(self, value: Any, type_spec: Any) -> None:
            self.value, self._type_spec = value, type_spec

        @property
        def type_signature(self) -> Any:
            return self._type_spec

        @property
        def reference(self) -> Any:
            raise NotImplementedError("what has not been sent has none")

        def compute(self) -> Any:
            raise NotImplementedError("only the results of calls are asked for")

    class Executor(tff.framework.RemoteExecutor):
        async def create_value(self, value: Any, type_spec: Any = None) -> Any:
            if isinstance(value, tff.framework.ConcreteComputation):
                return await super().create_value(value, type_spec)
            return Unsent(value, type_spec)

        async def create_struct(self, elements: Any) -> Any:
            parts = tff.structure.to_elements(tff.structure.from_container(elements))
            if all(isinstance(part, Unsent) for _, part in parts):
                types = [
                    (n, part.type_signature) if n else part.type_signature for n, part in parts
                ]
                values = tff.structure.Struct([(name, part.value) for name, part in parts])
                return Unsent(values, tff.StructType(types))
            sent = [(name, self._transferred(part)) for name, part in parts]
            return await super().create_struct(tff.structure.Struct(sent))

        async def create_call(self, comp: Any, arg: Any = None) -> Any:
            return await super().create_call(comp, self._transferred(arg))

        def _transferred(self, value: Any) -> Any:
            if not isinstance(value, Unsent):
                return value
            self._check_has_executor_id()
            request = messages.CreateValueRequest(executor=self._executor_id)
            type_spec = write_value(request.value, value.value, value.type_signature)
            reference = self._stub.create_value(request).value_ref
            return remote_executor.RemoteValue(reference, type_spec, self)

    return Executor


def write_value(message: Any, value: Any, type_spec: Any) -> Any:
    """Writes a value to a `Value` message of TFF; returns its type.

    With the same contents as `tff.framework.serialize_value`, which writes what is neither an array
    nor made of arrays.
    """
    import tensorflow_federated as tff
    from tensorflow_federated.python.core.impl.types import dtype_utils, type_serialization

    if isinstance(type_spec, tff.FederatedType) and (type_spec.all_equal or type(value) is list):
        members: Any = [value] if type_spec.all_equal else value
        message.federated.type.CopyFrom(type_serialization.serialize_type(type_spec).federated)
        for member in members:
            write_value(message.federated.value.add(), member, type_spec.member)
    elif isinstance(type_spec, tff.StructType):
        names_and_types = tff.structure.to_elements(type_spec)
        if type(value) is OrderedDict:
            elements = list(value.values())
        elif isinstance(value, (tuple, list)):
            elements = list(value)
        else:
            elements = list(tff.structure.from_container(value))
        if len(elements) != len(names_and_types):
            raise TypeError(f"{len(elements)} elements are no value of the type {type_spec}")
        message.struct.SetInParent()
        for (name, element_type), element in zip(names_and_types, elements):
            part = message.struct.element.add()
            if name:
                part.name = name
            write_value(part.value, element, element_type)
    elif (
        isinstance(type_spec, tff.TensorType)
        and isinstance(value, np.ndarray)
        and value.ndim == len(type_spec.shape or ())
        and value.ndim
        and value.dtype == type_spec.dtype
        and value.dtype.kind in "biuf"
        and all(size in (None, own) for size, own in zip(type_spec.shape or (), value.shape))
    ):
        message.array.dtype = dtype_utils.to_proto(value.dtype.type)
        message.array.shape.dim.extend(value.shape)
        message.array.content = value.tobytes()
    else:
        written, type_spec = tff.framework.serialize_value(value, type_spec)
        message.CopyFrom(written)
    return type_spec


def context_without_retries(**arguments: Any) -> Any:
    """Returns a `tff.framework.AsyncExecutionContext` that runs a computation once.

    The public one retries without end when its worker is gone.
    """
    import tensorflow_federated as tff

    class Context(tff.framework.AsyncExecutionContext):
        invoke: Any = vars(tff.framework.AsyncExecutionContext)["invoke"].__wrapped__

    return Context(**arguments)


# --- The compiler


@contextlib.contextmanager
def remembering_compiler() -> Iterator[None]:
    """Lets TFF's compiler reuse the types it has read and the graphs it has optimized lately.

    The compiler serializes and parses each computation several times, which takes most of its
    time in a suite of hundreds of computations; it has no option to remember them.
    """
    from tensorflow_federated.python.core.environments.tensorflow_backend import (
        compiled_computation_transformations as graphs,
    )
    from tensorflow_federated.python.core.impl.types import type_serialization as types

    read, optimize = _with_memory()
    with _compiler_lock:
        originals = types.deserialize_type, graphs.optimize_tensorflow_comp
        types.deserialize_type, graphs.optimize_tensorflow_comp = read, optimize
        try:
            yield
        finally:
            types.deserialize_type, graphs.optimize_tensorflow_comp = originals


def forget_compiled() -> None:
    """Lets go of the computations that TFF's contexts have compiled, and with them of their models.

    Each context keeps 128, about 10 MB for a model; the public API has no way to keep fewer. Nor
    has it one to let go of types: all that there ever were are kept. Types are equal by what they say, kept or made anew.
    """
    from tensorflow_federated.python.core.impl.execution_contexts import compiler_pipeline
    from tensorflow_federated.python.core.impl.types import computation_types

    read, _ = _with_memory()
    compiler_pipeline.CompilerPipeline.compile.cache_clear()
    read.cache_clear()
    for one in computation_types._intern_pool.values():
        one.clear()
    forget_serialized_types()
    modules = list(sys.modules.values())
    forget_traces(one for m in modules for one in list(getattr(m, "__dict__", {}).values()))


def forget_serialized_types() -> None:
    """Lets go of the messages that TFF keeps of types, each of which takes 8 KB.

    That is a MB for a training. Those that are needed again are made again, in 3 ms. TFF keeps
    each as long as the type.
    """
    from tensorflow_federated.python.core.impl.types import type_serialization

    kept: Any = type_serialization._type_serialization_cache
    kept.clear()


def forget_traces(objects: Iterable[Any]) -> None:
    """Has those objects that are `tf.function`s let go of the graphs that they were traced in.

    A function of a model, of TFF (secure sums, k-means) or of a user that outlives such a graph is
    traced anew in each, and keeps all of them: 5 MB and more for a training. TensorFlow has no
    public way to forget. What was traced outside of a graph stays.
    """
    import tensorflow as tf

    kind = type(tf.function(lambda: None))
    for function in objects:
        if type(function) is kind:
            known = function._function_cache
            for key in list(known._primary):
                if key[0].context.parent_graph is not None:
                    traced = known._primary.pop(key)
                    known._dispatch_dict.pop(key[0], None)
                    if function._concrete_variable_creation_fn is traced:  # by its first call
                        function._concrete_variable_creation_fn = None


@cache
def _with_memory() -> tuple[Any, Callable[[Any, Any], Any]]:
    """Returns TFF's functions that read a type and that optimize a graph, each with a memory.

    The first has a method `cache_clear`.
    """
    from tensorflow_federated.proto.v0 import computation_pb2
    from tensorflow_federated.python.core.environments.tensorflow_backend import (
        compiled_computation_transformations as graphs,
    )
    from tensorflow_federated.python.core.impl.compiler import building_blocks
    from tensorflow_federated.python.core.impl.types import type_serialization as types

    pb: Any = computation_pb2
    plain_read, plain_optimize = types.deserialize_type, graphs.optimize_tensorflow_comp

    @lru_cache(maxsize=_MAX_TYPES)
    def read_bytes(serialized: bytes) -> Any:
        return plain_read(pb.Type.FromString(serialized))

    def read(proto: Any) -> Any:
        return read_bytes(proto.SerializeToString())

    read.cache_clear = read_bytes.cache_clear  # pyright: ignore

    # As bytes by a hash: with keys and messages it would be four times as much.
    optimized: OrderedDict[bytes, bytes] = OrderedDict()

    def optimize(block: Any, options: Any) -> Any:
        if block.proto.ByteSize() > _MAX_GRAPH_BYTES:  # it holds arrays
            return plain_optimize(block, options)
        text = block.proto.SerializeToString() + options.SerializeToString()
        key = hashlib.sha256(text).digest()
        if key not in optimized:
            optimized[key] = plain_optimize(block, options).proto.SerializeToString()
            if len(optimized) > _MAX_GRAPHS:
                optimized.popitem(last=False)
        optimized.move_to_end(key)
        proto = pb.Computation.FromString(optimized[key])
        # The serialized type has lost the Python classes that the block's own has.
        return building_blocks.CompiledComputation(proto, type_signature=block.type_signature)

    return read, optimize


# --- Learning processes


def build_training_loop() -> Any:
    """Returns TFF's loop over a client's batches inside a graph, which its processes train with.

    Only whole client works are public; an algorithm that corrects gradients needs the loop.
    """
    import tensorflow_federated as tff
    from tensorflow_federated.python.learning import loop_builder

    return loop_builder.build_training_loop(tff.learning.LoopImplementation.DATASET_ITERATOR)


def build_client_update(model_fn: Callable[[], Any], weighting: Any) -> Any:
    """Returns TFF's function for a client's local training, with a `tff.learning.ClientWeighting`.

    The public client work weighs clients by examples or not at all, never by a metric, and its
    optimizer is the same in all rounds.
    """
    import tensorflow_federated as tff
    from tensorflow_federated.python.learning.templates import model_delta_client_work

    return model_delta_client_work.build_model_delta_update_with_tff_optimizer(
        model_fn,
        weighting=weighting,
        loop_implementation=tff.learning.LoopImplementation.DATASET_ITERATOR,
    )


# --- Differential privacy


def adaptive_clip_noise_params(
    noise_multiplier: float, clients: int, count_stddev: Optional[float]
) -> tuple[float, float]:
    """Returns the noise multiplier of the sum, and the deviation of the noise on the count.

    Together they cost what `noise_multiplier` says (Andrew et al., arXiv:1905.03871, section 3).
    Only the whole aggregator is public, and its noise is seeded by the clock.
    """
    from tensorflow_federated.python.aggregators import differential_privacy

    return differential_privacy.adaptive_clip_noise_params(
        noise_multiplier, float(clients), count_stddev
    )


def replace_sums(query: Any, with_noise: Callable[[float, float], Any]) -> None:
    """Replaces both sums of a new `tfp.QuantileAdaptiveClipSumQuery` by `with_noise(clip, stddev)`.

    The query has no parameter for them, and seeds their noise by the clock. Only this object is
    changed.
    """
    plain = query._sum_query
    query._sum_query = with_noise(plain._l2_norm_clip, plain._stddev)
    count = query._quantile_estimator_query._below_estimate_query
    plain = count._numerator
    count._numerator = with_noise(plain._l2_norm_clip, plain._stddev)


def num_stddevs(wrap_probability: float) -> float:
    """Returns how many deviations a normal variable exceeds with this probability.

    Only the whole aggregator of distributed DP is public; it is seeded by the clock.
    """
    from tensorflow_federated.python.aggregators import distributed_dp

    return distributed_dp._clip_prob_to_num_stddevs(wrap_probability)


def scale_factor(
    local_stddev: Any, norm: Any, bits: int, clients: int, size: int, num_stddevs: float
) -> Any:
    """Returns the factor before rounding to integers, float32 (), as large as the modulus allows.

    Kairouz, Liu, Steinke, arXiv:2102.06387, section 4; private for the same reason.
    """
    import tensorflow as tf
    from tensorflow_federated.python.aggregators import distributed_dp

    factor = distributed_dp._heuristic_scale_factor(
        local_stddev, norm, bits, clients, size, num_stddevs
    )
    return tf.cast(tf.minimum(factor, distributed_dp.MAX_SCALE_FACTOR), tf.float32)


def walsh_hadamard_transform(rows: Any) -> Any:
    """Returns the transform of each row, float32 (n, power of two).

    Only the whole aggregator is public, and its signs are seeded by the clock.
    """
    from tensorflow_federated.python.aggregators import hadamard

    return hadamard.fast_walsh_hadamard_transform(rows)


def random_signs(shape: Any, dtype: Any, seed: Any) -> Any:
    """Returns numbers that are -1 or 1, by a seed (2,); private for the same reason."""
    from tensorflow_federated.python.aggregators import rotation

    return rotation.sample_rademacher(shape, dtype, seed)


def random_phases(shape: Any, seed: Any, inverse: bool) -> Any:
    """Returns complex64 numbers of length 1, by a seed (2,); private for the same reason."""
    from tensorflow_federated.python.aggregators import rotation

    return rotation.sample_cis(shape, seed, inverse=inverse)


# --- Keras


@contextlib.contextmanager
def same_keras_seeds() -> Iterator[None]:
    """Has the initializers of each model that is built in the block have the same seeds.

    They become constants of the graph that a model is built in, and would be others each time.
    Keras draws them from its own generator; `tf.keras.utils.set_random_seed` is public, but sets
    the seeds of Python, NumPy and TensorFlow as well.
    """
    from keras.src import backend  # pyright: ignore

    seeds = vars(backend._SEED_GENERATOR)  # this thread's
    before = seeds.get("generator")
    seeds["generator"] = random.Random(0)
    try:
        yield
    finally:
        seeds["generator"] = before  # None is as good as nothing


# --- Networks and data sets of TFF's simulations


def emnist_models() -> ModuleType:
    """Returns the networks of TFF's EMNIST tasks, as functions that create a Keras model.

    `tff.simulation.baselines` builds whole tasks, with their data; no network alone is public.
    """
    from tensorflow_federated.python.simulation.baselines.emnist import emnist_models

    return emnist_models


def resnet_models() -> ModuleType:
    """Returns the networks of TFF's CIFAR-100 task; private for the same reason."""
    from tensorflow_federated.python.simulation.models import resnet_models

    return resnet_models


def mobilenet_v2() -> ModuleType:
    """Returns the network of TFF's landmark task; private for the same reason."""
    from tensorflow_federated.python.simulation.models import mobilenet_v2

    return mobilenet_v2


def shakespeare_models() -> ModuleType:
    """Returns the network of TFF's Shakespeare task; private for the same reason."""
    from tensorflow_federated.python.simulation.baselines.shakespeare import char_prediction_models

    return char_prediction_models


def stackoverflow_word_models() -> ModuleType:
    """Returns the network of TFF's next-word task; private for the same reason."""
    from tensorflow_federated.python.simulation.baselines.stackoverflow import (
        word_prediction_models,
    )

    return word_prediction_models


def stackoverflow_tag_model(input_size: int, output_size: int) -> Any:
    """Returns the logistic regression of TFF's tag task; private for the same reason."""
    from tensorflow_federated.python.simulation.baselines.stackoverflow import tag_prediction_tasks

    return tag_prediction_tasks._build_logistic_regression_model(
        input_size=input_size, output_size=output_size
    )


@contextlib.contextmanager
def readable_tfrecords(logger_tag: str) -> Iterator[None]:
    """Lets `tff.simulation.datasets` open a folder of TFRecord files, such as that of gldv2.

    TFF 0.87 reads a client's file by `load_tfrecord` without its required argument `logger_tag`.
    What was opened stays readable.
    """
    from tensorflow_federated.python.simulation.datasets import vision_datasets_utils

    original = vision_datasets_utils.load_tfrecord

    def load_tfrecord(file_name: str, logger_tag: str = logger_tag) -> Any:
        return original(file_name, logger_tag)

    with _tfrecords_lock:
        vision_datasets_utils.load_tfrecord = load_tfrecord
        try:
            yield
        finally:
            vision_datasets_utils.load_tfrecord = original
