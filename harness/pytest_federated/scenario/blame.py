"""Which line of a scenario file an error of its run is about."""

from __future__ import annotations

import functools
import re

from pytest_federated.core.errors import FederatedError, ScenarioError
from pytest_federated.expectations.expectation import expectations
from pytest_federated.registry.registry import kind
from pytest_federated.scenario.case import Case
from pytest_federated.scenario.loader import place_of, shown_path
from pytest_federated.scenario.schema import Scenario, choices

_TOP = "|".join(Scenario.model_fields)
_FIRST = re.compile(rf"((?:{_TOP})(?:\.\w+)*): ")
_ANYWHERE = re.compile(rf"\b(?:{_TOP})(?:\.\w+)+")


def place_of_error(error: FederatedError, case: Case) -> tuple[int, str]:
    """Returns the line of a case's file that an error is about, and the place in words.

    That is the line of the key that the message names, or of the choice that the error came from,
    else the first line of the scenario. The words have the key unless the message begins with it,
    and the file if it is another one, a ``defaults.yaml``.
    """
    message = str(error)
    key = _key_of(error, message, case.scenario)
    try:
        place = place_of(case, key) if key else None
    except ScenarioError:  # the file was changed meanwhile
        place = None
    if place is None:
        return case.line, f"line {case.line}"
    said = "" if message.startswith(f"{key}: ") else f": {key}"
    if place.file == shown_path(case.file, None):
        return place.line, f"line {place.line}{said}"
    return case.line, f"{place.file}:{place.line}{said}"


def _key_of(error: FederatedError, message: str, scenario: Scenario) -> str:
    """Returns the dotted key that an error is about; empty where that is not known."""
    if first := _FIRST.match(message):
        return first[1]
    chosen = _chosen(error, scenario)
    named = _ANYWHERE.search(message)
    return named[0] if named and named[0].startswith(chosen) else chosen


def _chosen(error: FederatedError, scenario: Scenario) -> str:
    """Returns the key of the choice that an error came from; empty where that is not known."""
    if error.about is None:
        return ""
    what, name = error.about
    if what == expectations.what:
        return f"expect.{name}"
    for path, registry in choices():
        section = functools.reduce(lambda part, key: getattr(part, key, None), path, scenario)
        if registry.what == what and section is not None and kind(section) == name:
            return ".".join(path)
    return ""
