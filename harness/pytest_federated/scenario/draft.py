"""A first scenario for some data: its guesses, and a federation and a training that fit."""

from __future__ import annotations

import json
import math
import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np

from pytest_federated.core.errors import DataError
from pytest_federated.core.text import one_line
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
_MOST_CHANNELS = 4  # of an image
_NEAR = (0.3, 3.0)  # deviations of numbers that a model learns without a scale of its own


@dataclass(frozen=True)
class Facts:
    """What the data has.

    Attributes:
        task: what is predicted.
        examples: how many there are to train on; None where that is not known.
        shape: of one example; None where that is not known.
        classes: how many labels.
        clients: how many natural clients; 0 where there are none.
        has_test_set: whether it has a test set of its own.
        mean: of the numbers to predict.
        deviation: of the numbers to predict.

    """

    task: TaskKind
    examples: Optional[int]
    shape: Optional[tuple[int, ...]]
    classes: int
    clients: int
    has_test_set: bool
    mean: float = 0.0
    deviation: float = 1.0

    @property
    def needs_scale(self) -> bool:
        """Whether the numbers to predict are so far from 0 and 1 that no model begins near them."""
        is_wide = not _NEAR[0] <= self.deviation <= _NEAR[1]
        return is_wide or abs(self.mean) > _NEAR[1] * self.deviation

    @property
    def is_image(self) -> bool:
        """Whether convolutions fit an example."""
        shape = self.shape or ()
        return len(shape) == 3 and min(shape[:2]) >= _SMALLEST_SIDE and shape[2] <= _MOST_CHANNELS


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
        is_text = re.match(r"[\d,]+ (characters|words)", spec.facts.shape)
        task = spec.task or ("tokens" if is_text else "label")
        shape = (28, 28, 1) if "×" in spec.facts.shape else None
        clients = _PER_ROUND if spec.facts.natural else 0  # or more
        return Facts(task, None, shape, 2, clients, has_test_set(settings))
    dataset = described(data.dataset, cache)
    loaded = dataset.load(None)
    train = loaded.train
    numbers = train.y if dataset.task == "regression" else np.array([-1.0, 1.0])
    return Facts(
        dataset.task,
        len(train),
        tuple(train.x.shape[1:]),
        dataset.num_classes,
        len(dataset.natural),
        loaded.test is not None,
        float(np.mean(numbers)),
        float(np.std(numbers)) or 1.0,
    )


def draft(guess: Guess, facts: Facts, cache: Cache, module: Optional[str] = None) -> Draft:
    """Returns a scenario that runs as it is, with a model of one's own in a `module`, if given.

    Raises:
        DataError: the data is too small to be split.

    """
    clients = _clients(guess, facts, cache)
    model, training = _training(facts)
    stub = None
    if module is not None:
        model, stub = {"keras": f"{module}:build"}, _stub(facts)
    lines = [
        "# Written by pytest-federated init. A guess has its reason beside it.",
        "schema: 1",
        f"name: {guess.name}",
        *_data(guess, facts),
        "clients:",
        *_keys(clients, 1),
        f"model: {yaml_value(model)}",
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
                    yield from _line(f"      - {yaml_value(name)}", guess.left_out.get(name, ""))
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


def _training(facts: Facts) -> tuple[Any, dict[str, Any]]:
    """Returns a built-in model, and a training of it."""
    rate, epochs = 0.1, 2
    model: Any = {"kind": "mlp", "hidden": [64]}
    if facts.task == "tokens":
        model, rate, epochs = "lstm", 0.5, 1
    elif facts.is_image:
        model, rate, epochs = "cnn", 0.05, 1
    if facts.task == "regression":
        rate = float(f"{0.02 / (facts.deviation**2 if facts.needs_scale else 1):.1g}")
    training = {
        "algorithm": "fedavg",
        "rounds": 20,
        "local_epochs": epochs,
        "batch_size": 20,
        "client_optimizer": {"kind": "sgd", "learning_rate": rate},
    }
    return model, training


_STUB = '''"""The model of the scenario beside this file: change it as you like.

Keras 2; what can be trained is in docs/models.md of pytest-federated.
"""

import tensorflow as tf


def build(input_shape, {outputs}):
    """Returns a new model{without}."""
    layers = tf.keras.layers
    return tf.keras.Sequential(
        [
{layers}
        ]
    )
'''


def _stub(facts: Facts) -> str:
    """Returns a module with a Keras model that fits the data."""
    outputs, without = "output_shape", "; its outputs are logits"
    inside = ["layers.InputLayer(input_shape)"]
    if facts.task == "tokens":
        outputs = "num_classes"
        inside = [
            'layers.InputLayer(input_shape, dtype="int32")',
            "layers.Embedding(num_classes, 32)",
            "layers.LSTM(64, return_sequences=True)",
            "layers.Dense(num_classes)",
        ]
    else:
        for filters in (16, 32) if facts.is_image else ():
            convolution = f'layers.Conv2D({filters}, 3, padding="same", activation="relu")'
            inside += [convolution, "layers.MaxPooling2D()"]
        inside += ["layers.Flatten()", 'layers.Dense(64, activation="relu")']
        inside += ["layers.Dense(output_shape[-1])"]
    if facts.task == "regression":
        without = ""
        if facts.needs_scale:
            inside.append(f"layers.Rescaling({facts.deviation:.4g}, {facts.mean:.4g})")
            without = ", which begins at the mean of the numbers to predict, at their scale"
    text = "\n".join(f"            {line}," for line in inside)
    return _STUB.format(outputs=outputs, without=without, layers=text)


def _keys(section: Mapping[str, Any], depth: int) -> Iterator[str]:
    for key, value in section.items():
        yield from _key(key, value, depth)


def _key(key: str, value: Any, depth: int, comment: str = "") -> Iterator[str]:
    indent = "  " * depth
    text = f"{indent}{key}: {yaml_value(value)}"
    if isinstance(value, list) and len(text) > _WIDTH:
        yield from _line(f"{indent}{key}:", comment)
        for item in value:
            yield f"{indent}  - {yaml_value(item)}"
        return
    yield from _line(text, comment)


def _line(text: str, comment: str) -> Iterator[str]:
    """Yields a line with a comment: behind it, or above it where that would be too long."""
    comment = one_line(comment)  # it may quote values of the data
    if not comment:
        yield text
    elif len(text) + len(comment) + 4 <= _WIDTH:
        yield f"{text}  # {comment}"
    else:
        indent = text[: len(text) - len(text.lstrip())]
        yield from (f"{indent}# {line}" for line in textwrap.wrap(comment, _WIDTH - 8))
        yield text


def yaml_value(value: Any) -> str:
    """Returns a value as YAML in one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {yaml_value(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(yaml_value, value)) + "]"
    if isinstance(value, str):
        is_plain = _PLAIN.fullmatch(value) and value.lower() not in _RESERVED
        quoted = json.dumps(value, ensure_ascii=False)
        escaped = (c if c.isprintable() else f"\\U{ord(c):08X}" for c in quoted)
        return value if is_plain else "".join(escaped)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(value)
    text = json.dumps(value)
    return re.sub(r"^(-?\d+)e", r"\1.0e", text)  # 3e-06 is text to older readers of YAML
