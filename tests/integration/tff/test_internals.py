"""Uses of TFF's private modules are in one file, are undone, and are still needed."""

from __future__ import annotations

import ast
import gc
import importlib
import inspect
import threading
import weakref
from collections import OrderedDict
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import attrs
import numpy as np
import pytest
from paths import ROOT
from pytest_federated.tff import internals
from pytest_federated.tff.compiler import native
from pytest_federated.tff.context import forget_computations
from pytest_federated.training.aggregators.differential_privacy import dp

ONLY = ROOT / "harness/pytest_federated/tff/internals.py"
# Tests that compare with TFF's own private code, as a reference.
_COMPARED = (
    "helpers/tff_data",
    "integration/tff/test_tff_images",
    "integration/tff/test_tff_texts",
)
REFERENCES = {Path(__file__), *(ROOT / f"tests/{name}.py" for name in _COMPARED)}
PRIVATE = ("tensorflow_federated.python.", "tensorflow_federated.proto.")
TYPES = "tensorflow_federated.python.core.impl.types.type_serialization"
PRIVATE_NAMES = {
    "load_tfrecord",
    "_below_estimate_query",
    "_clip_prob_to_num_stddevs",
    "_heuristic_scale_factor",
    "_numerator",
    "_sum_query",
}
FILES = sorted(
    f
    for folder in ("harness", "tests", "benchmarks", "docs", "scenarios")
    for f in (ROOT / folder).rglob("*.py")
    if f != ONLY and f not in REFERENCES
)


def private_uses(tree: ast.AST) -> list[str]:
    """Returns the private modules and names of TFF that code imports or names in a string."""
    found = []
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names = [node.value] if "\n" not in node.value and " " not in node.value else []
        elif isinstance(node, ast.Attribute):
            names = [node.attr] if node.attr in PRIVATE_NAMES else []
        found += [name for name in names if name in PRIVATE_NAMES or f"{name}.".startswith(PRIVATE)]
    return found


def test_only_internals_imports_tffs_private_modules() -> None:
    words = ("tensorflow_federated", *PRIVATE_NAMES)
    texts = {file: file.read_text(encoding="utf-8") for file in FILES}
    uses = {
        f"{file.relative_to(ROOT)}: {use}"
        for file, text in texts.items()
        if any(word in text for word in words)  # parsing all of them takes a second
        for use in private_uses(ast.parse(text))
    }
    assert not uses


@pytest.mark.parametrize(
    "code",
    [
        "from tensorflow_federated.python import aggregators",
        "import tensorflow_federated.proto.v0.computation_pb2 as pb",
        "from tensorflow_federated import python",
        "import_module('tensorflow_federated.python.learning')",
        "query._sum_query = ours",
    ],
)
def test_private_uses_are_noticed(code: str) -> None:
    assert private_uses(ast.parse(code))


def test_each_entry_says_why_and_has_a_test() -> None:
    tree = ast.parse(ONLY.read_text(encoding="utf-8"))
    functions = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name[0] != "_"]
    tests = Path(__file__).read_text(encoding="utf-8")
    assert not [f.name for f in functions if len((ast.get_docstring(f) or "").split()) < 12]
    assert not [f.name for f in functions if f.name not in tests]


# Each can be removed once the public API has it


def public_names(module: ModuleType, seen: set[str]) -> set[str]:
    """Returns the functions and classes of a package of TFF and of its public subpackages."""
    if module.__name__ in seen:
        return set()
    seen.add(module.__name__)
    names: set[str] = set()
    for name, value in vars(module).items():
        if not isinstance(value, ModuleType):
            names.add(name)
        elif value.__name__.startswith("tensorflow_federated.") and hasattr(value, "__path__"):
            names |= public_names(value, seen)
    return names


@pytest.fixture(scope="module")
def public(tff: Any) -> set[str]:
    names = public_names(tff, set())
    assert {"federated_mean", "build_weighted_fed_avg", "RetryableError", "celeba"} - names == {
        "celeba"  # a module
    }
    return names


@pytest.mark.parametrize(
    ("entry", "private"),
    [
        (internals.build_training_loop, "build_training_loop"),
        (internals.build_client_update, "build_model_delta_update_with_tff_optimizer"),
        (internals.adaptive_clip_noise_params, "adaptive_clip_noise_params"),
        (internals.num_stddevs, "clip_prob_to_num_stddevs"),
        (internals.scale_factor, "heuristic_scale_factor"),
        (internals.walsh_hadamard_transform, "fast_walsh_hadamard_transform"),
        (internals.random_signs, "sample_rademacher"),
        (internals.random_phases, "sample_cis"),
        (internals.emnist_models, "create_conv_dropout_model"),
        (internals.resnet_models, "create_resnet18"),
        (internals.mobilenet_v2, "create_mobilenet_v2"),
        (internals.shakespeare_models, "create_recurrent_model"),
        (internals.stackoverflow_word_models, "create_recurrent_model"),
        (internals.stackoverflow_tag_model, "build_logistic_regression_model"),
    ],
)
def test_the_public_api_still_lacks(public: set[str], entry: Any, private: str) -> None:
    assert private in inspect.getsource(entry) or hasattr(entry(), private)
    assert private not in public


# Each can be removed once TFF no longer needs it


def test_worker_binary_is_needed_while_the_public_api_hides_it(tff: Any) -> None:
    """TFF's factory still does not pass on streams or return the process."""
    binary = internals.worker_binary()
    assert binary is not None and binary.is_file()
    start = inspect.signature(tff.framework.local_cpp_executor_factory).parameters
    assert not {"stdout", "stderr", "process"} & set(start)


def test_worker_calls_and_worker_messages_are_needed_while_tffs_stub_waits(tff: Any) -> None:
    source = inspect.getsource(inspect.getmodule(tff.framework.RemoteExecutorGrpcStub) or tff)
    assert "timeout" not in source
    assert "@tracing.trace(span=True)\ndef _request" in source


def test_own_calls_are_needed_while_tffs_context_traces_each_step(tff: Any) -> None:
    """So are `cardinalities_message` and `number_of_clients`."""
    source = inspect.getsource(tff.framework.AsyncExecutionContext)
    assert "tracing.wrap_coroutine_in_current_trace_context" in source
    assert not {"infer_cardinalities", "serialize_cardinalities"} & set(dir(tff.framework))


def test_writing_is_needed_while_tff_copies_each_level(tff: Any) -> None:
    from tensorflow_federated.python.core.impl.executors import value_serialization

    federated = inspect.getsource(value_serialization._serialize_federated_value)
    assert "value_proto.federated.value.append(federated_value_proto)" in federated


def test_reading_is_needed_while_tff_traces_each_array(tff: Any) -> None:
    from tensorflow_federated.python.core.impl.executors import value_serialization

    source = inspect.getsource(value_serialization)
    assert "@tracing.trace\ndef deserialize_value" in source


def current_context(tff: Any) -> Any:
    return tff.framework.get_context_stack().current


def new_message() -> Any:
    """Returns an empty message for a value."""
    from tensorflow_federated.proto.v0 import executor_pb2

    messages: Any = executor_pb2  # pyright sees no generated names
    return messages.Value()


class Counted:
    """The calls of a worker, and the names of those that were made."""

    def __init__(self, calls: Any) -> None:
        self._calls = calls
        self.made: list[str] = []

    def __getattr__(self, name: str) -> Any:
        self.made.append(name)
        return getattr(self._calls, name)


@pytest.mark.usefixtures("running")
def test_an_argument_is_sent_by_one_call(tff: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    total = tff.tensorflow.computation(lambda a, b: a + b[0], np.int32, [np.int32])
    assert total(1, [2]) == 3  # which sends the computation, too
    (executor,) = current_context(tff)._executors.values()
    counted = Counted(executor._calls)
    monkeypatch.setattr(executor, "_calls", counted)
    assert total(2, [3]) == 5
    assert counted.made == ["CreateValue", "CreateCall", "Dispose", "Compute"]


@pytest.mark.usefixtures("running")
def test_closing_does_not_wait_for_a_call_that_is_under_way(
    tff: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when Ctrl-C ends a session whose remote worker computes."""
    number = tff.tensorflow.computation(lambda: 1)
    assert number() == 1
    context = current_context(tff)
    (executor,) = context._executors.values()
    is_computing, may_end = threading.Event(), threading.Event()

    class Slow(Counted):
        def Compute(self, request: Any) -> Any:
            is_computing.set()
            assert may_end.wait(60)
            return self._calls.Compute(request)

    monkeypatch.setattr(executor, "_calls", Slow(executor._calls))
    calling = threading.Thread(target=context.invoke, args=[number], daemon=True)
    calling.start()
    assert is_computing.wait(60)
    closing = threading.Thread(target=context.close, daemon=True)
    closing.start()
    closing.join(60)
    is_closed = not closing.is_alive()
    may_end.set()
    calling.join(60)
    assert is_closed
    assert executor._calls.made[-1:] == ["DisposeExecutor"]


class Pair(NamedTuple):
    first: Any
    second: Any


@attrs.define(eq=False)
class Fields:
    one: Any
    two: Any


def nested_type(tff: Any) -> Any:
    return tff.StructWithPythonType(
        [
            ("x", tff.TensorType(np.float32, (None, 2))),
            ("levels", tff.TensorType(np.uint8, (None,))),
            ("seen", tff.TensorType(np.bool_, (2,))),
            ("names", tff.TensorType(np.str_, (None,))),
            ("name", tff.TensorType(np.str_)),
            ("count", np.int32),
            ("nothing", tff.StructWithPythonType([], tuple)),
            ("pair", tff.StructWithPythonType([np.float32, np.int64], tuple)),
            ("list", tff.StructWithPythonType([np.float32, np.bool_], list)),
            ("named", tff.StructWithPythonType([("first", np.int32), ("second", ())], Pair)),
            ("fields", tff.StructWithPythonType([("one", np.int32), ("two", ())], Fields)),
            ("plain", tff.StructType([("one", np.int32), ("two", np.float32)])),
        ],
        OrderedDict,
    )


def nested_value() -> Any:
    return OrderedDict(
        x=np.arange(8, dtype=np.float32).reshape(2, 4).T,
        levels=np.zeros(0, np.uint8),
        seen=np.array([True, False]),
        names=np.array(["a", "b"], object),
        name="a",
        count=7,
        nothing=(),
        pair=(np.float32(2.5), 3),
        list=[np.float32(2.5), True],
        named=Pair(1, ()),
        fields=Fields(1, ()),
        plain=OrderedDict(one=1, two=0.5),
    )


@pytest.mark.parametrize("is_all_equal", [True, False])
def test_values_are_written_as_tff_writes_them(is_all_equal: bool, tff: Any) -> None:
    message, member, value = new_message(), nested_type(tff), nested_value()
    given: Any = value if is_all_equal else [value, value]
    kind = tff.StructType([("all", tff.FederatedType(member, tff.CLIENTS, is_all_equal)), member])
    internals.value_writer(kind)(message, (given, value))
    assert message == tff.framework.serialize_value((given, value), kind)[0]


def outline(value: Any) -> Any:
    """Returns a value's containers and arrays by type, shape and contents, to be compared."""
    if isinstance(value, (OrderedDict, list, tuple, Fields)):
        items = attrs.asdict(value, recurse=False) if isinstance(value, Fields) else value
        parts = items.items() if isinstance(items, dict) else enumerate(items)
        return type(value), [(key, outline(part)) for key, part in parts]
    array = np.asarray(value)
    return type(value), array.dtype, array.shape, array.tolist()


@pytest.mark.parametrize("is_all_equal", [True, False])
def test_values_are_read_as_tff_reads_them(is_all_equal: bool, tff: Any) -> None:
    from tensorflow_federated.python.core.impl.types import type_conversions

    member, value = nested_type(tff), nested_value()
    given: Any = value if is_all_equal else [value, value]
    kind = tff.StructWithPythonType(
        [tff.FederatedType(member, tff.CLIENTS, is_all_equal), member], tuple
    )
    message = tff.framework.serialize_value((given, value), kind)[0]
    expected = tff.framework.deserialize_value(message, kind)[0]
    expected = type_conversions.type_to_py_container(expected, kind)
    assert outline(internals.value_reader(kind)(message)) == outline(expected)


def test_what_is_partly_named_cannot_be_read_either_way(tff: Any) -> None:
    kind = tff.StructType([("one", np.int32), np.int32])
    message = tff.framework.serialize_value(tff.structure.Struct([("one", 1), (None, 2)]), kind)[0]
    with pytest.raises(ValueError, match="mix of named and unnamed"):
        internals.value_reader(kind)(message)


@pytest.mark.usefixtures("running")
def test_data_sets_and_tensors_are_sent_and_returned(tff: Any) -> None:
    import tensorflow as tf

    @tff.tensorflow.computation(tff.SequenceType(np.int32), np.int32)
    def doubled(numbers: Any, plus: Any) -> Any:
        return numbers.map(lambda n: 2 * n + plus), numbers.reduce(0, lambda a, b: a + b)

    numbers = tf.data.Dataset.from_tensor_slices([1, 2, 3])
    twice, total = doubled(numbers, tf.constant(1))
    assert [int(n) for n in twice] == [3, 5, 7]
    assert total == 6
    assert doubled([1, 2], tf.Variable(tf.constant(0)))[1] == 3


def test_a_value_of_another_type_is_refused_as_by_tff(tff: Any) -> None:
    of_two = tff.TensorType(np.float32, (2,))
    values: list[tuple[Any, Any]] = [
        (np.zeros(3, np.float32), of_two),
        (np.zeros(2, np.int32), of_two),
        ((1,), tff.StructType([np.int32, np.int32])),
        (3, tff.FederatedType(np.int32, tff.CLIENTS)),
    ]
    for value, kind in values:
        with pytest.raises(TypeError):
            tff.framework.serialize_value(value, kind)
        with pytest.raises(TypeError):
            internals.value_writer(kind)(new_message(), value)


def test_ping_method_is_needed_while_no_public_stub_can_ping(tff: Any) -> None:
    assert internals.PING_METHOD.endswith("/Dispose")
    names = {n.lower() for n in dir(tff.framework.RemoteExecutorGrpcStub)}
    assert not {n for n in names if "ping" in n or "health" in n}


@pytest.mark.usefixtures("running")
def test_forget_compiled_is_needed_while_tffs_contexts_keep_every_model(tff: Any) -> None:
    computation = tff.tensorflow.computation(lambda: 1)
    executor_fn: Any = tff.framework.local_cpp_executor_factory()
    context = tff.framework.AsyncExecutionContext(executor_fn, compiler_fn=native)
    context._compiler_pipeline.compile(computation)
    kept = weakref.ref(computation)
    del computation
    gc.collect()
    assert kept() is not None
    internals.forget_compiled()
    gc.collect()
    assert kept() is None


@pytest.mark.usefixtures("running")
def test_computations_that_were_run_are_forgotten(tff: Any) -> None:
    computation = tff.tensorflow.computation(lambda: 1)
    assert computation() == 1
    kept = weakref.ref(computation)
    del computation
    gc.collect()
    assert kept() is not None
    forget_computations()
    gc.collect()
    assert kept() is None


@pytest.mark.usefixtures("running")
def test_forget_compiled_is_needed_while_tff_keeps_every_type(tff: Any) -> None:
    vector = tff.TensorType(np.int32, [3])
    plus_one = tff.tensorflow.computation(lambda x: x + 1, vector)
    kept = weakref.ref(tff.TensorType(np.int32, [12345]))
    gc.collect()
    assert kept() is not None
    internals.forget_compiled()
    gc.collect()
    assert kept() is None
    again = tff.TensorType(np.int32, [3])
    assert again is not vector and again == vector and hash(again) == hash(vector)
    assert plus_one.type_signature == tff.FunctionType(again, again)
    assert plus_one(np.array([1, 2, 3], np.int32)).tolist() == [2, 3, 4]


def test_forget_serialized_types_is_needed_while_tff_keeps_them(tff: Any) -> None:
    module: Any = importlib.import_module(
        "tensorflow_federated.python.core.impl.types.type_serialization"
    )
    vector = tff.TensorType(np.int32, [54321])
    message = module.serialize_type(vector)
    assert module.serialize_type(vector) is message
    internals.forget_serialized_types()
    again = module.serialize_type(vector)
    assert again is not message and again == message


def test_forget_traces_is_needed_while_functions_of_modules_keep_graphs(tff: Any) -> None:
    import tensorflow as tf

    models = importlib.import_module("tensorflow_federated.python.learning.models.functional")

    def traced() -> Any:
        with tf.Graph().as_default() as graph:
            models.empty_metrics_state()
        return weakref.ref(graph)

    kept = [traced(), traced()]  # the first one in two places
    models.empty_metrics_state()
    outside = models.empty_metrics_state.experimental_get_tracing_count()
    gc.collect()
    assert all(graph() is not None for graph in kept)
    internals.forget_compiled()
    gc.collect()
    assert all(graph() is None for graph in kept)
    models.empty_metrics_state()
    assert models.empty_metrics_state.experimental_get_tracing_count() < outside
    traced()  # works as before


def test_traces_forgotten_is_needed_while_functions_keep_the_graphs_they_are_traced_in(
    tff: Any,
) -> None:
    import tensorflow as tf

    double: Any = tf.function(lambda x: 2 * x)
    half: Any = tf.function(lambda x: x / 2)

    def traced(function: Any) -> Any:
        with tf.Graph().as_default() as graph:
            function(tf.constant(1.0))
        return weakref.ref(graph)

    kept = [traced(double), traced(double)]  # the first one in two places
    gc.collect()
    assert all(graph() is not None for graph in kept)
    assert double(tf.constant(3.0)) == 6
    count = double.experimental_get_tracing_count()
    with internals.traces_forgotten():
        inside = [traced(double), traced(half), traced(half)]
        assert half(tf.constant(3.0)) == 1.5
    gc.collect()
    assert all(graph() is None for graph in inside)
    assert all(graph() is not None for graph in kept)
    assert double.experimental_get_tracing_count() == count
    assert half.experimental_get_tracing_count() == 1
    traced(half)  # works as before, and is kept again
    assert half.experimental_get_tracing_count() == 2


def test_same_keras_seeds_is_needed_while_keras_draws_others_each_time(tff: Any) -> None:
    import tensorflow as tf

    def seeds() -> list[int]:
        with tf.Graph().as_default() as graph:
            tf.keras.Sequential([tf.keras.Input((2,)), *(tf.keras.layers.Dense(3) for _ in "ab")])
        return [
            int(tf.make_ndarray(operation.get_attr("value"))[0])
            for operation in graph.get_operations()
            if operation.name.endswith("/seed")
        ]

    tf.keras.utils.set_random_seed(0)
    first = seeds()
    assert len(first) == 2
    assert seeds() != first
    tf.keras.utils.set_random_seed(0)
    with internals.same_keras_seeds():
        inside = seeds()
    assert seeds() == first  # as without the block
    with internals.same_keras_seeds():
        assert seeds() == inside


@pytest.mark.usefixtures("running")
def test_remembering_compiler_is_needed_while_tff_reads_the_same_types_again(
    tff: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    types = importlib.import_module(TYPES)
    original, read = types.deserialize_type, []

    def deserialize_type(proto: Any) -> Any:
        read.append(proto and proto.SerializeToString())
        return original(proto)

    monkeypatch.setattr(types, "deserialize_type", deserialize_type)

    @tff.federated_computation(tff.FederatedType(np.float32, tff.CLIENTS))
    def mean(values: Any) -> Any:
        return tff.federated_mean(values)

    tff.backends.native.desugar_and_transform_to_native(mean)
    assert len(read) > 2 * len(set(read))


@pytest.mark.usefixtures("running")
def test_remembering_compiler_is_needed_while_tff_optimizes_equal_graphs_again(
    tff: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They differ by the numbers of their functions; of what is different, nothing is reused."""
    import tensorflow as tf

    grappler = importlib.import_module("tensorflow.python.grappler.tf_optimizer")
    optimize, calls = grappler.OptimizeGraph, []

    def noted(*arguments: Any, **settings: Any) -> Any:
        calls.append(1)
        return optimize(*arguments, **settings)

    monkeypatch.setattr(grappler, "OptimizeGraph", noted)

    def compiled(factor: float) -> int:
        @tff.tensorflow.computation(np.float32)
        def scaled(x: Any) -> Any:
            return tf.function(lambda value: tf.sin(value) * factor)(x)

        calls.clear()
        native(scaled)
        return len(calls)

    first, again, other = compiled(54.5), compiled(54.5), compiled(5.45)
    assert (again, other) == (0, first)
    assert first > 0


@pytest.mark.usefixtures("running")
def test_remembering_compiler_is_needed_while_tff_has_activations_computed_again(
    tff: Any,
) -> None:
    import tensorflow as tf

    @tff.tensorflow.computation(tff.TensorType(np.float32, [3, 4]))
    def slope(x: Any) -> Any:
        @tf.function
        def model(x: Any) -> Any:
            layer = tf.nn.relu(tf.matmul(x, tf.ones([4, 5])) + 0.5)
            return tf.reduce_sum(tf.matmul(layer, tf.ones([5, 2])) ** 2)

        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = model(x)
        return tape.gradient(loss, x)

    def text(computation: Any) -> bytes:
        return type(computation).get_proto(computation).SerializeToString()

    plain = tff.backends.native.desugar_and_transform_to_native(slope)
    assert b"Recomputed" in text(plain)
    assert b"Recomputed" not in text(native(slope))


@pytest.mark.usefixtures("running")
def test_remembering_compiler_restores_the_functions_of_tff(tff: Any) -> None:
    graphs = importlib.import_module(
        "tensorflow_federated.python.core.environments.tensorflow_backend"
        ".compiled_computation_transformations"
    )
    types = importlib.import_module(TYPES)

    @tff.federated_computation(tff.FederatedType(np.float32, tff.CLIENTS))
    def total(values: Any) -> Any:
        return tff.federated_sum(values)

    before = types.deserialize_type, graphs.optimize_tensorflow_comp
    native(total)
    with pytest.raises(AttributeError):
        native(None)
    assert before == (types.deserialize_type, graphs.optimize_tensorflow_comp)
    assert {f.__module__ for f in before} == {types.__name__, graphs.__name__}


def test_replace_sums_is_needed_while_the_query_creates_its_own(tff: Any) -> None:
    import tensorflow_privacy as tfp

    parameters = inspect.signature(tfp.QuantileAdaptiveClipSumQuery.__init__).parameters
    assert set(parameters) == {
        *("self", "initial_l2_norm_clip", "noise_multiplier", "target_unclipped_quantile"),
        *("learning_rate", "clipped_count_stddev", "expected_num_records"),
        "geometric_update",
    }


def test_replace_sums_changes_only_one_query(tff: Any) -> None:
    import tensorflow_privacy as tfp

    dp(10, noise_multiplier=0.1)
    other = tfp.QuantileAdaptiveClipSumQuery(0.1, 1.0, 0.5, 0.2, 1.0, 10)
    assert type(other._sum_query) is tfp.GaussianSumQuery
    assert type(other._quantile_estimator_query._below_estimate_query._numerator) is (
        tfp.GaussianSumQuery
    )


def test_readable_tfrecords_is_needed_while_load_tfrecord_needs_a_tag(tff: Any) -> None:
    utils = importlib.import_module(
        "tensorflow_federated.python.simulation.datasets.vision_datasets_utils"
    )
    before = utils.load_tfrecord
    tag = inspect.signature(before).parameters["logger_tag"]
    assert tag.default is inspect.Parameter.empty
    assert "create_from_dir(train_dir, load_tfrecord)" in inspect.getsource(
        utils.load_data_from_cache
    )
    with internals.readable_tfrecords("gldv2"):
        assert inspect.signature(utils.load_tfrecord).parameters["logger_tag"].default == "gldv2"
    assert utils.load_tfrecord is before


def test_traced_by_default_is_needed_while_not_converting_holds_for_all_calls(tff: Any) -> None:
    import tensorflow as tf

    class Branching(tf.keras.layers.Layer):
        def call(self, inputs: Any) -> Any:
            if tf.reduce_sum(inputs) > 0:  # only autograph makes a graph of it
                return inputs
            return -inputs

    layer = Branching()

    @tf.function
    @tf.autograph.experimental.do_not_convert
    def plain(x: Any) -> Any:
        return layer(x)

    @tf.function
    @tf.autograph.experimental.do_not_convert
    def converting(x: Any) -> Any:
        with internals.traced_by_default():
            return layer(x)

    x = tf.constant([-2.0])
    with pytest.raises(tf.errors.OperatorNotAllowedInGraphError):
        plain(x)
    assert converting(x).numpy() == [2.0]
