"""The points of a grid that ``tune`` tries, as scenarios."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pytest_federated.core.errors import Problem, ScenarioError
from pytest_federated.scenario.case import Point
from pytest_federated.scenario.explain import explain
from pytest_federated.scenario.matrix import MATRIX, TUNED, expand, varied_keys, varied_values
from pytest_federated.scenario.schema import Scenario
from pytest_federated.scenario.source import MAX_PROBLEMS, Document, Place


def read_points(document: Document) -> tuple[dict[str, Point], list[Problem]]:
    """Reads what a document without a matrix tries, by name; and the problems of it all.

    One that tunes nothing has one point, without a name.
    """
    variants, problems = expand(document, TUNED)
    if len(variants) == 1 and variants[0].name:
        problems = [
            _problem(
                document,
                "has one combination: nothing to choose from; set it where "
                "it belongs, or add values",
            )
        ]
    points: dict[str, Point] = {}
    for variant in variants:
        if len(problems) >= MAX_PROBLEMS:
            break
        try:
            scenario = Scenario.model_validate(variant.document.data)
        except ValidationError as error:
            problems += explain(error, variant.document)
        else:
            points[variant.name] = Point(variant.values, scenario)
    if not variants:  # the problems of the rest are shown, too
        try:
            Scenario.model_validate(document.data)
        except ValidationError as error:
            problems += explain(error, document)
    return points, problems


def points_of(scenario: Scenario) -> dict[str, Point]:
    """Returns what a scenario from Python tries, by name.

    Raises:
        ScenarioError: its grid is wrong.

    """
    place = Place(Path(scenario.name), 0)
    points, problems = read_points(Document(scenario.settings(), {(): place}))
    if problems:
        raise ScenarioError(problems)
    return points


def varied_twice(document: Document) -> list[Problem]:
    """Returns a problem for each key that both the matrix and ``tune`` of a document vary.

    ``tune`` may vary a key of a choice that the matrix varies, if no value there has that key, as
    each algorithm has a learning rate of its own.
    """
    varied = varied_values(document, MATRIX)
    return [
        _problem(document, f"{'.'.join(key)} is varied by the matrix, too")
        for key in varied_keys(document, TUNED)
        if any(
            other[: len(key)] == key
            or (key[: len(other)] == other and any(_has(v, key[len(other) :]) for v in values))
            for other, values in varied.items()
        )
    ]


def _has(value: Any, path: Sequence[str]) -> bool:
    """Returns whether a value has something at a path below it, or can have nothing there."""
    for key in path:
        if isinstance(value, str):
            return False  # a choice in its short form
        if not isinstance(value, Mapping):
            return True
        if key not in value:
            return False
        value = value[key]
    return True


def _problem(document: Document, message: str) -> Problem:
    place = document.place(TUNED)
    return Problem(place.file, place.line, ".".join(TUNED), message)
