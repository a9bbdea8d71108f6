"""A first scenario for some data: its guesses, and a federation and a training that fit."""

from __future__ import annotations

import json
import math
import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Optional

from pytest_federated.core.errors import DataError
from pytest_federated.data.datasets import external
from pytest_federated.data.datasets.dataset import (
    Cache,
    TaskKind,
    datasets,
    described,
    has_test_set,
)
from pytest_federated.data.federation import federate
from pytest_federated.data.guesses.guess import Guess
from pytest_federated.data.schema import Data, Partition

_WIDTH = 80
_PLAIN = re.compile(r"[A-Za-z_][\w./-]*(?: [\w./-]+)*")
_RESERVED = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}
_CLIENTS = 10  # where the data has none of its own
_PER_ROUND = 10
_SMALLEST_SIDE = 8  # pixels of an image that convolutions with pooling fit


@dataclass(frozen=True)
class Facts:
    """What the data has.

    Attributes:
        task: what is predicted.
        examples: how many there are to train on; None where that is not known.
        shape: of one example; None where that is not known.
        has_tokens: whether examples are whole numbers that stand for words.
        classes: how many labels.
        clients: how many natural clients; 0 where there are none.
        has_test_set: whether it has a test set of its own.

    """

    task: TaskKind
    examples: Optional[int]
    shape: Optional[tuple[int, ...]]
    has_tokens: bool
    classes: int
    clients: int
    has_test_set: bool

    @property
    def needs_stub(self) -> bool:
        """Whether no built-in model fits: words, and one label for all of them."""
        return self.has_tokens and self.task != "tokens"


@dataclass(frozen=True)
class Draft:
    """The text of a scenario, and that of a module with its model, if it has one."""

    scenario: str
    module: Optional[str]


def facts_of(guess: Guess, cache: Cache) -> Facts:
    """Reads the data as guessed, if it is on this machine; nothing is downloaded.

    Raises:
        DataError: it cannot be read in this way.

    """
    data = Data.model_validate({"dataset": guess.settings})
    spec = datasets.entry(data.dataset).spec
    settings = data.dataset.model_dump()
    if not external.is_here(data.dataset, cache):
        natural = 1000 if spec.facts.natural else 0
        is_text = "character" in spec.facts.shape or "word" in spec.facts.shape
        task = spec.task or "label"
        shape = (28, 28, 1) if "×" in spec.facts.shape else None
        return Facts(task, None, shape, is_text, 2, natural, has_test_set(settings))
    dataset = described(data.dataset, cache)
    train = dataset.load(None).train
    return Facts(
        dataset.task,
        len(train),
        tuple(train.x.shape[1:]),
        str(train.x.dtype) == "int32",
        dataset.num_classes,
        len(dataset.natural),
        has_test_set(settings),
    )


def draft(guess: Guess, facts: Facts, cache: Cache, module: Optional[str] = None) -> Draft:
    """Returns a scenario that runs as it is, with a model of one's own in a `module`, if given.

    Raises:
        DataError: the data is too small to be split.

    """
    clients = _clients(guess, facts, cache)
    is_image = facts.shape is not None and len(facts.shape) == 3
    model, training = _training(facts, is_image)
    stub = None
    if module is not None:
        model, stub = {"keras": f"{module}:build"}, _stub(facts, is_image)
    lines = [
        "# Written by pytest-federated init: guesses, with their reasons. Change what is wrong.",
        "schema: 1",
        f"name: {guess.name}",
        *_data(guess, facts),
        "clients:",
        *_keys(clients, 1),
        f"model: {_value(model)}",
        "training:",
        *_keys(training, 1),
        "seeds: [0, 1]",
    ]
    return Draft("\n".join(lines) + "\n", stub)


def _data(guess: Guess, facts: Facts) -> Iterator[str]:
    yield "data:"
    settings = guess.settings
    if [*settings] == ["kind"]:
        yield f"  dataset: {settings['kind']}"
    else:
        yield "  dataset:"
        for key, value in settings.items():
            if key == "exclude":
                yield "    exclude:"
                for name in value:
                    yield from _line(f"      - {_value(name)}", guess.left_out.get(name, ""))
            else:
                yield from _key(key, value, 2, guess.reasons.get(key, ""))
    if not facts.has_test_set:
        yield "  test_fraction: 0.2"


def _clients(guess: Guess, facts: Facts, cache: Cache) -> dict[str, Any]:
    """Returns the clients, of the first of several splits that this data allows."""
    if facts.clients:
        return {"split": "natural", "per_round": min(_PER_ROUND, facts.clients)}
    rows = facts.examples if facts.examples is not None else 10_000
    count = max(2, min(_CLIENTS, rows // 20))
    least = max(1, min(10, rows // (4 * count)))
    skewed = {"kind": "dirichlet", "alpha": 1, "min_examples": least}
    choices: list[Any] = [skewed] if facts.task in ("label", "binary") else []
    for split in [*choices, "iid"]:
        clients = {"count": count, "split": split}
        if facts.examples is None:
            return clients
        try:
            federate(_validated(guess, facts), Partition.model_validate(clients), 0, cache)
        except DataError:
            if split == "iid":
                raise
        else:
            return clients
    raise AssertionError("iid is the last split")


def _validated(guess: Guess, facts: Facts) -> Data:
    fraction = {} if facts.has_test_set else {"test_fraction": 0.2}
    return Data.model_validate({"dataset": guess.settings, **fraction})


def _training(facts: Facts, is_image: bool) -> tuple[Any, dict[str, Any]]:
    """Returns a built-in model, and a training of it."""
    rate, epochs, batch = 0.1, 2, 20
    if facts.has_tokens:
        model, rate, epochs = "lstm", 0.5, 1
    elif is_image and facts.shape and min(facts.shape[:2]) >= _SMALLEST_SIDE:
        model, rate, epochs = "cnn", 0.05, 1
    else:
        model = {"kind": "mlp", "hidden": [64]}
    if facts.task == "regression":
        rate = 0.02
    training = {
        "algorithm": "fedavg",
        "rounds": 20,
        "local_epochs": epochs,
        "batch_size": batch,
        "client_optimizer": {"kind": "sgd", "learning_rate": rate},
    }
    return model, training


_STUB = '''"""The model of the scenario beside this file; see docs/models.md of pytest-federated."""

import tensorflow as tf


def build(input_shape, output_shape{more}):
    """Returns a new model: {shape} -> {outputs}, without a last activation (logits)."""
    layers = tf.keras.layers
    return tf.keras.Sequential(
        [
{layers}
        ]
    )
'''


def _stub(facts: Facts, is_image: bool) -> str:
    """Returns a module with a Keras model that fits the data."""
    inside = ["layers.InputLayer(input_shape)"]
    more = ""
    if facts.has_tokens:
        more = ", num_classes"
        words = facts.classes if facts.task == "tokens" else 10_000
        inside = [
            'layers.InputLayer(input_shape, dtype="int32")',
            f"layers.Embedding({words}, 32),  # as many as there are different words",
        ]
        inside += (
            ["layers.LSTM(64, return_sequences=True)", "layers.Dense(num_classes)"]
            if facts.task == "tokens"
            else ["layers.GlobalAveragePooling1D()", "layers.Dense(output_shape[-1])"]
        )
    else:
        if is_image and facts.shape and min(facts.shape[:2]) >= _SMALLEST_SIDE:
            for filters in (16, 32):
                inside += [
                    f'layers.Conv2D({filters}, 3, padding="same", activation="relu")',
                    "layers.MaxPooling2D()",
                ]
        inside += ["layers.Flatten()", 'layers.Dense(64, activation="relu")']
        inside += ["layers.Dense(output_shape[-1])"]
    shape = "the shape of an example" if facts.shape is None else str(facts.shape)
    outputs = "output_shape"
    listed = [line if ",  #" in line else f"{line}," for line in inside]
    text = textwrap.indent("\n".join(listed), " " * 12)
    return _STUB.format(more=more, shape=shape, outputs=outputs, layers=text)


def _keys(section: Mapping[str, Any], depth: int) -> Iterator[str]:
    for key, value in section.items():
        yield from _key(key, value, depth)


def _key(key: str, value: Any, depth: int, comment: str = "") -> Iterator[str]:
    indent = "  " * depth
    text = f"{indent}{key}: {_value(value)}"
    if isinstance(value, list) and len(text) > _WIDTH:
        yield from _line(f"{indent}{key}:", comment)
        for item in value:
            yield f"{indent}  - {_value(item)}"
        return
    yield from _line(text, comment)


def _line(text: str, comment: str) -> Iterator[str]:
    """Yields a line with a comment: behind it, or above it where that would be too long."""
    if not comment:
        yield text
    elif len(text) + len(comment) + 4 <= _WIDTH:
        yield f"{text}  # {comment}"
    else:
        indent = text[: len(text) - len(text.lstrip())]
        yield from (f"{indent}# {line}" for line in textwrap.wrap(comment, _WIDTH - 8))
        yield text


def _value(value: Any) -> str:
    """Returns a value as YAML in one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_value(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, str):
        is_plain = _PLAIN.fullmatch(value) and value.lower() not in _RESERVED
        return value if is_plain else json.dumps(value, ensure_ascii=False)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(value)
    return json.dumps(value)
