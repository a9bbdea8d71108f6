"""Expands ``matrix`` into one scenario for each combination of its values."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from pytest_federated.core.errors import Problem
from pytest_federated.scenario.source import Document, brief

# Limits, far above real use, of the size of a matrix.
MAX_VARIANTS = 10_000
MAX_KEYS = 100
MAX_PLACES = 2_000_000  # lines to remember, of all variants together


# The keys of a scenario that cannot be varied.
FIXED = ("matrix", "name", "schema", "expect", "baseline", "tags", "description")


def expand(document: Document) -> tuple[list[tuple[str, Document]], list[Problem]]:
    """Expands the ``matrix`` of a document into one variant for each combination.

    Returns:
        The variants, each with its part of the id (``alpha=0.1``, empty without a matrix),
        in the order of the file with the last key varying fastest; and the problems of the
        matrix. If there are any, there are no variants.

    """
    if "matrix" not in document.data:
        return [("", document)], []
    matrix = document.data["matrix"]
    base = document.without("matrix")

    def problem_at(path: tuple[Any, ...], message: str) -> Problem:
        place = document.place(path)
        return Problem(place.file, place.line, ".".join(map(str, path)), message)

    if not isinstance(matrix, Mapping) or not matrix:
        return [], [
            problem_at(
                ("matrix",), f"got {brief(matrix)}; must map keys, such as clients.count, to lists"
            )
        ]
    if len(matrix) > MAX_KEYS:
        message = f"got {len(matrix):,} keys; allowed: at most {MAX_KEYS}"
        return [], [problem_at(("matrix",), message)]
    problems = []
    for key, values in matrix.items():
        path = ("matrix", key)
        if not isinstance(key, str) or not all(key.split(".")):
            problems.append(
                problem_at(
                    path, f"got the key {brief(key)}; must be a dotted key, such as clients.count"
                )
            )
        elif key.split(".")[0] in FIXED:
            problems.append(
                problem_at(
                    path, "cannot be varied; allowed: keys of data, clients, model, training, seeds"
                )
            )
        elif not isinstance(values, list) or not values:
            problems.append(problem_at(path, f"got {brief(values)}; must be a list of values"))
    if problems:
        return [], problems

    keys = list(matrix)
    for position, key in enumerate(keys):
        for later in keys[position + 1 :]:
            if key.startswith(f"{later}."):
                message = f"is replaced by {later}, which comes later; put that first"
                problems.append(problem_at(("matrix", key), message))
    if problems:
        return [], problems

    count = math.prod(map(len, matrix.values()))
    most = min(MAX_VARIANTS, MAX_PLACES // len(document.places))
    if count > most:
        message = f"makes {count:,} scenarios; allowed: at most {most:,}"
        if most < MAX_VARIANTS:
            message += " of one as long as this"
        return [], [problem_at(("matrix",), message)]
    labels = _labels(keys)
    variants = []
    for combination in itertools.product(*(list(enumerate(v)) for v in matrix.values())):
        values, parts = {}, []
        for (key, label), (position, value) in zip(zip(matrix, labels), combination):
            place = document.place(("matrix", key, position))
            values[tuple(key.split("."))] = value, place
            parts.append(f"{label}={_short(value)}")
        variants.append((",".join(parts), base.with_values(values)))
    ids = Counter(name for name, _ in variants)
    repeated = sorted(name for name, times in ids.items() if times > 1)
    if repeated:
        return [], [problem_at(("matrix",), f"gives the same variant twice: {', '.join(repeated)}")]
    return variants, []


def _labels(keys: Sequence[str]) -> list[str]:
    """Returns the shortest suffixes of the dotted keys that tell them apart."""
    parts = [k.split(".") for k in keys]
    labels = []
    for path in parts:
        size = next(
            n
            for n in range(1, len(path) + 1)
            if sum(p[-n:] == path[-n:] for p in parts) == 1 or n == len(path)
        )
        labels.append(".".join(path[-size:]))
    return labels


def _short(value: Any) -> str:
    """Returns a value as part of an id."""
    if isinstance(value, Mapping):
        if set(value) == {"kind"}:
            return str(value["kind"])
        inner = ",".join(f"{k}={_short(v)}" for k, v in value.items() if k != "kind")
        return f"{value['kind']}({inner})" if "kind" in value else f"({inner})"
    if isinstance(value, list):
        return "(" + ",".join(_short(v) for v in value) + ")"
    return str(value).replace("[", "(").replace("]", ")")
