"""Keras models like those of users (zoo.py): each trains as in TFF, or is refused in one line.

Whether a model gives logits or probabilities is detected.
"""

from __future__ import annotations

import fnmatch
import importlib
import re
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pytest
from example_data import federation
from paths import HELPERS, ROOT
from pytest_federated.clients.cohort import cohort_of_round
from pytest_federated.clients.participation import Participation
from pytest_federated.core.errors import ModelError
from pytest_federated.core.schema import Section
from pytest_federated.data.datasets.dataset import TaskKind
from pytest_federated.data.federation import FederatedData
from pytest_federated.expectations.baselines import baseline_of, changed, trained_settings
from pytest_federated.plugin.baselines import _normal
from pytest_federated.running.options import Options
from pytest_federated.running.pipeline import run
from pytest_federated.running.store import Store
from pytest_federated.scenario.schema import Scenario
from pytest_federated.training.engine import standard
from pytest_federated.training.engine.build import trainer_for
from pytest_federated.training.loop import steps
from pytest_federated.training.models.adapters.keras import KerasAdapter
from pytest_federated.training.models.adapters.select import adapter_for
from pytest_federated.training.models.model import Shape, models
from pytest_federated.training.schema import Training
from zoo_table import MODELS, outcome

RATE = 0.05
SHAPE = Shape((4, 4, 1), 3)


def model(function: str, outputs: Optional[str] = None, **args: Any) -> Section:
    stated = {} if outputs is None else {"outputs": outputs}
    return models.parse({"keras": f"zoo:{function}", "args": args, **stated})


def settings(execution: str = "auto") -> Training:
    client = {"kind": "sgd", "learning_rate": RATE}
    return Training.model_validate(
        {"rounds": 1, "execution": execution, "batch_size": 4, "client_optimizer": client}
    )


def trained(data: FederatedData, chosen: Section, execution: str) -> tuple[str, list[np.ndarray]]:
    """Returns the execution with its reason, and the weights after one round."""
    (step,) = steps(data, chosen, settings(execution), 2, 0)
    trainer = trainer_for(chosen, settings(execution), data)
    assert step.round.train_loss is not None and np.isfinite(step.round.train_loss)
    weights = trainer.algorithm.weights(step.state)
    return str(trainer.execution), [np.asarray(w) for part in weights for w in part]


def trained_by_tff(data: FederatedData, chosen: Section) -> list[np.ndarray]:
    """Trains the same round with TFF's `from_keras_model` and `build_weighted_fed_avg` only."""
    import tensorflow as tf
    import tensorflow_federated as tff

    build = getattr(importlib.import_module("zoo"), chosen.keras.partition(":")[2])  # type: ignore
    policy = tf.keras.mixed_precision.global_policy()

    def model_fn() -> Any:
        keras = build(input_shape=(4, 4, 1), num_classes=3, **chosen.args)  # type: ignore
        tf.keras.mixed_precision.set_global_policy(policy)
        keras._is_compiled = False
        loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        return tff.learning.models.from_keras_model(keras, loss, SHAPE.spec())

    process: Any = tff.learning.algorithms.build_weighted_fed_avg(
        model_fn, client_optimizer_fn=tff.learning.optimizers.build_sgdm(RATE)
    )
    begin = trainer_for(chosen, settings(), data).initial_weights(0)
    state = process.set_model_weights(process.initialize(), begin)
    cohort = cohort_of_round(data, 2, 0, 1, settings().local_work, Participation())
    state = process.next(state, standard.arguments(cohort.examples, settings().local_work)).state
    return [np.asarray(w) for part in process.get_model_weights(state) for w in part]


@pytest.mark.slow
@pytest.mark.usefixtures("running")
@pytest.mark.parametrize(
    "function",
    [
        "operators",
        "attention",
        "convolutions",
        "recurrent",
        "embedded",
        "deferred",
        "subclassed",
        "own",
        "frozen",
        "normalizations",
    ],
)
def test_a_packed_model_trains_as_in_standard_execution(function: str) -> None:
    data, chosen = federation([9, 5], 0), model(function)
    (packed, ours), (_, theirs) = (trained(data, chosen, how) for how in ("auto", "standard"))
    assert packed == "packed"
    for one, other in zip(ours, theirs):
        np.testing.assert_allclose(one, other, rtol=0, atol=5e-6)


@pytest.mark.slow
@pytest.mark.usefixtures("running")
@pytest.mark.parametrize(
    ("function", "reason"),
    [
        ("divided", "TFF can make no functional model of it (ValueError in line"),
        ("own_backwards", "the model does not make its variables in the order of its layers"),
        ("pretrained", "TFF can make no functional model of it (AttributeError"),
        ("mixed", "the model has mixed precision"),
        ("double", "TFF can make no functional model of it (ValueError"),
        ("regularized", "the model has regularization losses"),
        ("compiled", "the model makes variables that are not its weights"),
        ("unused", "the model makes variables that are not its weights"),
        ("checking", "a layer has operations with side effects (If)"),
    ],
)
def test_a_model_that_cannot_be_packed_trains_as_in_tff(function: str, reason: str) -> None:
    data, chosen = federation([9, 5], 0), model(function)
    execution, ours = trained(data, chosen, "auto")
    assert execution.startswith(f"standard ({reason}")
    assert "/" not in execution  # no path of this machine
    begin = trainer_for(chosen, settings(), data).initial_weights(0)
    moved = [np.abs(a - b.numpy()).max() for a, b in zip(ours, begin.trainable)]
    assert max(moved) > 1e-4
    for one, other in zip(ours, trained_by_tff(data, chosen)):
        np.testing.assert_allclose(one, other, rtol=0, atol=2e-3 if function == "mixed" else 5e-6)


@pytest.mark.usefixtures("tff")
@pytest.mark.parametrize(
    ("function", "reason"),
    [
        ("divided", "TFF can make no functional model of it: ValueError: .*zoo.py: return"),
    ],
)
def test_packed_execution_is_refused_if_it_is_impossible(function: str, reason: str) -> None:
    line = refusal(model(function), "packed")
    assert re.match(f"training.execution: packed is not possible: {reason}", line), line


PAGE = (ROOT / "docs/models.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| (.+?) \| (.+) \|$", PAGE, re.MULTILINE))


@pytest.mark.slow
@pytest.mark.usefixtures("tff")
@pytest.mark.parametrize("title", MODELS)
def test_the_table_of_models_is_up_to_date(title: str) -> None:
    """After an intended change, run `uv run python docs/make_models.py` and read the diff."""
    assert ROWS[title] == outcome(title)


def test_the_table_has_a_row_for_each_model_and_no_other() -> None:
    rows = PAGE.partition("| model | execution")[2].partition("\n\n")[0]
    assert re.findall(r"^\| (.+?) \| .+ \|$", rows, re.MULTILINE) == [*MODELS]


def refusal(chosen: Section, execution: str = "auto") -> str:
    """Returns the line with which a model is refused."""
    with pytest.raises(ModelError) as refused:
        trainer_for(chosen, settings(execution), federation([9, 5], 0))
    line = str(refused.value)
    assert "\n" not in line
    return line


@pytest.mark.usefixtures("tff")
@pytest.mark.parametrize(
    ("function", "args", "message"),
    [
        ("batch_normalization", {}, "the layer * is batch normalization: *"),
        ("old_normalization", {"trainable": True}, "the layer * is batch normalization: *"),
        ("old_normalization", {"trainable": False}, "the layer * is batch normalization: *"),
        ("counting", {}, "the layer * changes its weight 'counting*/calls:0' when *"),
        ("adds_loss", {}, "TFF cannot train it by fedavg: a layer adds a loss *"),
        ("hidden", {}, "the model uses *, which is not one of its weights, so it *"),
        ("hidden_by_lambda", {}, "the model uses *, which is not one of its weights, so it *"),
        ("active", {}, "TFF cannot train it by fedavg: a layer adds a loss while it is called *"),
        (
            "noisy",
            {"draw": "tensorflow"},
            "the model draws random *: RandomStandardNormal in *",
        ),
        ("noisy", {"draw": "in training"}, "the model draws random *: RandomUniform in line *"),
        ("noisy", {"draw": "in a loop"}, "the model draws random *: RandomShuffle in line *"),
        ("noisy", {"draw": "numpy"}, "the model has other constants at each call * in line *"),
        ("noisy", {"draw": "numpy, once"}, "the model has other constants at each call *"),
        ("noisy", {"draw": "python"}, "the model calls Python, which TFF's worker process cannot*"),
        ("noisy_function", {}, "the model draws random numbers that no seed decides: * in line *"),
        ("for_others", {"shape": [28, 28, 1]}, "* shape (28, 28, 1); the data has (4, 4, 1), *"),
        ("for_others", {"shape": [16]}, "* examples of shape (16,); the data has (4, 4, 1), *"),
        ("integers", {}, "the model takes examples of int32; the data has float32"),
        ("chosen", {}, "the model gives outputs of int32, which have no gradient; *"),
        ("two_outputs", {}, "the model has 2 outputs, as list; one tensor is needed"),
        ("two_of_a_class", {}, "the model has 2 outputs, as tuple; one tensor is needed"),
        ("named_output", {}, "the model has 1 outputs, as dict; one tensor is needed"),
        (
            "two_inputs",
            {},
            "the model has 2 inputs; the data has one, which *",
        ),
        ("nothing", {}, "the model has nothing to train: it has no weights"),
        ("all_frozen", {}, "the model has nothing to train: all its layers are frozen"),
        ("same", {}, "the model function returns the same model, or the same layers, at each *"),
        ("same_layer", {}, "the model function returns the same model, or the same layers, *"),
        ("growing", {}, "the model function returns another model at each call: *"),
    ],
    ids=str,
)
def test_a_model_that_cannot_be_trained_is_refused_in_one_line(
    function: str, args: dict[str, Any], message: str
) -> None:
    line = refusal(model(function, **args))
    assert fnmatch.fnmatch(line, f"model.keras: zoo:{function}: {message}"), line


@pytest.mark.usefixtures("tff")
@pytest.mark.parametrize("execution", ["auto", "standard"])
@pytest.mark.parametrize(
    ("function", "when", "raised"),
    [
        ("raising", "function", "raised in the function"),
        ("raising", "build", "raised in build"),
        ("raising", "call", "raised in call"),
        ("raising", "training", "raised in training"),
        ("raising", "graph", "raised in a graph"),
        ("deferred_raising", None, "raised in build"),
    ],
)
def test_an_error_in_a_users_function_is_one_line_with_the_place(
    function: str, when: Optional[str], raised: str, execution: str
) -> None:
    source = (HELPERS / "zoo.py").read_text().splitlines()
    number = next(n for n, text in enumerate(source, start=1) if f'ValueError("{raised}")' in text)
    line = refusal(model(function, **({"when": when} if when else {})), execution)
    assert line.startswith(f"model.keras: zoo:{function}")
    assert f"ValueError: {raised} (line {number} of {HELPERS / 'zoo.py'}: " in line
    assert line.endswith(f'raise ValueError("{raised}"))')


LOGITS = ("linear", "activation linear", "zeros", "log softmax", "relu", "relu of zeros", "tanh")
SOFTMAX = (
    "softmax",
    "softmax of zeros",
    "softmax layer",
    "softmax activation",
    "softmax function",
    "softmax, then linear",
    "softmax lambda",
    "softmax of zeros lambda",
    "softmax operation",
    "softmax in a function",
    "softmax of 16 bits",
    "softmax by hand",
    "nested softmax",
    "mixture of softmax",
    "layer that normalizes",
)
SIGMOID = (
    "sigmoid",
    "sigmoid layer",
    "sigmoid of zeros",
    "sigmoid operation",
    "sigmoid in a function",
)
ENDS: list[tuple[TaskKind, str, Optional[str]]] = [
    *(("label", end, "logits") for end in LOGITS),
    *(("label", end, "probabilities") for end in SOFTMAX),
    *(("label", end, None) for end in (*SIGMOID, "hard sigmoid", "constant")),
    *(("tokens", end, "logits") for end in ("linear", "zeros", "tanh")),
    *(("tokens", end, "probabilities") for end in ("softmax", "softmax lambda", "softmax by hand")),
    ("tokens", "softmax over positions", None),
    *(("tags", end, "logits") for end in LOGITS),
    *(("tags", end, "probabilities") for end in SIGMOID),
    *(("tags", end, None) for end in ("hard sigmoid", "constant", "softmax by hand")),
    *(("binary", end, "logits") for end in ("linear", "zeros", "relu", "tanh")),
    *(("binary", end, "probabilities") for end in SIGMOID),
    *(("binary", end, None) for end in ("hard sigmoid", "constant", "log softmax")),
]


def of_task(kind: TaskKind) -> tuple[str, Shape]:
    """Returns the function of the zoo for a task, and the shape of its data."""
    if kind == "tokens":
        return "ending_of_positions", Shape((5,), 3, kind, (5,), "int32")
    labels, dtype = ((3,), "int8") if kind == "tags" else ((), "int32")
    return "ending", Shape((4, 4, 1), 2 if kind == "binary" else 3, kind, labels, "float32", dtype)


@pytest.mark.usefixtures("tff")
@pytest.mark.parametrize("end", ["softmax", "softmax operation"])
def test_a_softmax_over_one_output_is_refused(end: str) -> None:
    _, shape = of_task("binary")
    for stated in (None, "logits", "probabilities"):
        with pytest.raises(ModelError, match="softmax, and a softmax of one output is always 1; e"):
            adapter_for(model("ending", stated, end=end), shape)


@pytest.mark.usefixtures("tff")
def test_what_is_detected_does_not_depend_on_the_initial_weights() -> None:
    import tensorflow as tf

    function, shape = of_task("binary")
    for seed in range(12):
        tf.keras.utils.set_random_seed(seed)
        adapter = adapter_for(model(function, None, end="relu"), shape)
        assert isinstance(adapter, KerasAdapter) and not adapter.infers_probabilities


@pytest.mark.usefixtures("tff")
@pytest.mark.parametrize(("kind", "end", "outputs"), ENDS)
def test_the_outputs_of_a_model_are_detected(
    kind: TaskKind, end: str, outputs: Optional[str]
) -> None:
    import tensorflow as tf

    function, shape = of_task(kind)

    def form(stated: Optional[str]) -> KerasAdapter:
        adapter = adapter_for(model(function, stated, end=end), shape)
        assert isinstance(adapter, KerasAdapter)
        return adapter

    if outputs is None:
        with pytest.raises(ModelError, match="cannot know whether it gives logits or probabilit"):
            form(None)
        assert not form("logits").infers_probabilities
        return
    before = tf.random.get_global_generator().state.numpy()
    found, stated = form(None), form(outputs)
    assert np.array_equal(tf.random.get_global_generator().state.numpy(), before)
    assert found.infers_probabilities == (outputs == "probabilities")
    assert not stated.infers_probabilities
    y = np.zeros((2, *shape.label_shape), shape.label_dtype)
    output = np.full((2, *shape.output_shape), 0.25, np.float32)
    output += np.eye(2, shape.units)[0] / 4
    assert float(found.losses.evaluation(y, output)) == float(stated.losses.evaluation(y, output))
    other = "logits" if outputs == "probabilities" else "probabilities"
    with pytest.raises(ModelError, match=f"zoo:{function}: got 'outputs: {other}'; "):
        form(other)


@pytest.mark.usefixtures("tff")
def test_probabilities_of_a_label_sum_to_1() -> None:
    _, shape = of_task("label")
    with pytest.raises(ModelError, match="does not sum to 1; end it in softmax or in no activ"):
        adapter_for(model("ending", "probabilities", end="sigmoid"), shape)
    _, shape = of_task("tags")
    for stated in ("logits", "probabilities"):
        adapter_for(model("ending", stated, end="hard sigmoid"), shape)


@pytest.mark.usefixtures("running")
def test_a_model_that_ends_in_a_softmax_trains_like_one_with_logits() -> None:
    data = federation([9, 5], 0)
    _, found = trained(data, model("ending", end="softmax"), "auto")
    _, logits = trained(data, model("ending", end="linear"), "auto")
    for one, other in zip(found, logits):
        np.testing.assert_allclose(one, other, rtol=0, atol=5e-6)


@pytest.mark.usefixtures("running")
def test_the_model_of_tutorials_reaches_what_the_registered_one_does() -> None:
    data = federation([9, 5], 0)
    _, own = trained(data, model("tutorial"), "auto")
    _, registered = trained(data, models.parse("tutorial"), "auto")
    for one, other in zip(own, registered):
        np.testing.assert_array_equal(one, other)


@pytest.mark.usefixtures("running")
def test_detected_outputs_are_in_the_record_even_from_the_cache(tmp_path: Path) -> None:
    def result(end: str, **more: Any) -> Any:
        scenario = Scenario.model_validate(
            {
                "name": "ending",
                "data": {"dataset": "digits"},
                "clients": {"count": 2},
                "model": {"keras": "zoo:ending", "args": {"end": end}, **more},
                "training": {"rounds": 1},
            }
        )
        return run(scenario, Options(store=Store(tmp_path)))

    once, again = result("softmax"), result("softmax")
    assert (once.reused, again.reused) == (0, 1)
    assert once.settings["model"]["outputs"] == again.settings["model"]["outputs"]
    assert again.settings["model"]["outputs"] == "probabilities"
    stated = result("softmax", outputs="probabilities")
    assert stated.reused == 0 and stated.settings == once.settings
    assert stated.histories[0].rounds == once.histories[0].rounds
    # An older baseline: then, outputs that were not stated were logits.
    linear = result("linear")
    assert linear.settings["model"]["outputs"] == "logits"
    baseline = baseline_of(linear)
    assert not changed(_normal(baseline), trained_settings(linear.settings))
    assert "outputs" not in linear.histories[0].model_dump(mode="json")


@pytest.mark.usefixtures("tff")
def test_a_model_keeps_its_own_keras_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tensorflow as tf

    source = (
        "import tensorflow as tf\n"
        "{set}\n"
        "def build(input_shape, num_classes):\n"
        "    return tf.keras.Sequential([tf.keras.layers.Flatten(input_shape=input_shape),\n"
        "        tf.keras.layers.Dense(num_classes)])\n"
    )
    policy = "tf.keras.mixed_precision.set_global_policy('mixed_bfloat16')"
    (tmp_path / "half_precision.py").write_text(source.replace("{set}", policy))
    (tmp_path / "whole_precision.py").write_text(source.replace("{set}", ""))
    monkeypatch.syspath_prepend(tmp_path)
    for module, dtype in (("half", "bfloat16"), ("whole", "float32"), ("half", "bfloat16")):
        chosen = models.parse({"keras": f"{module}_precision:build"})
        form = adapter_for(chosen, SHAPE)
        assert isinstance(form, KerasAdapter) and form.build().output.dtype == dtype
        assert form.model.layers[-1].compute_dtype == dtype
        assert tf.keras.mixed_precision.global_policy().name == "float32"
