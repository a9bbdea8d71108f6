"""The scenarios with which the expectations of a scenario compare it; they are trained as well."""

from __future__ import annotations

from pydantic import ValidationError

from pytest_federated.core.errors import FederatedError
from pytest_federated.core.schema import Section
from pytest_federated.core.suggestions import suggest
from pytest_federated.expectations.judging import references
from pytest_federated.metrics.metric import Reference
from pytest_federated.scenario.case import Case
from pytest_federated.scenario.schema import Scenario
from pytest_federated.training.algorithms.algorithm import algorithms

# What a scenario says of who takes part, where all clients do, always and honestly.
_EVERYBODY = {
    "per_round": None,
    "sampling": "uniform",
    "dropout": None,
    "stragglers": None,
    "attacks": None,
}


def compared(case: Case) -> dict[str, Scenario]:
    """Returns, for each expectation that compares, the scenario that it compares with.

    Raises:
        FederatedError: there is no such variant, or the algorithm cannot train this scenario.

    """
    return {
        name: _other(case, reference, name)
        for name, reference in references(case.scenario.expect).items()
        if not (case.variant and reference.variant == case.variant)
    }


def concerning(case: Case) -> dict[str, Section]:
    """Returns the expectations of a variant: all but those that would compare it with itself."""
    refer = references(case.scenario.expect)
    return {
        name: settings
        for name, settings in case.scenario.expect.items()
        if not (case.variant and name in refer and refer[name].variant == case.variant)
    }


def _other(case: Case, reference: Reference, name: str) -> Scenario:
    siblings = case.siblings
    if reference.variant or not reference.algorithm:
        if reference.variant not in siblings:
            hint = suggest(reference.variant, siblings) if siblings else "there is no matrix"
            raise FederatedError(
                f"expect.{name}.relative_to: got '[{reference.variant}]'; no such variant; {hint}"
            )
        if siblings[reference.variant].tune:
            raise FederatedError(
                f"expect.{name}.relative_to: got '[{reference.variant}]'; a variant that is tuned "
                "can be compared in reports only (pytest-federated compare)"
            )
        return siblings[reference.variant]
    if reference.algorithm not in algorithms:
        raise FederatedError(f"expect.{name}: needs the algorithm {reference.algorithm!r}")
    settings = case.scenario.settings()
    settings.pop("tune", None)
    settings["training"]["algorithm"] = reference.algorithm
    for key in algorithms[reference.algorithm].spec.unused:
        settings["training"].pop(key, None)
    settings["training"].pop("eval_clients_every", None)  # gaps are of the test set
    if reference.by_all:
        settings["clients"] |= _EVERYBODY
    try:
        return Scenario.model_validate({**settings, "expect": {}})
    except ValidationError as error:
        first = error.errors()[0]
        blamed = first.get("ctx", {}).get("key", "")
        where = ".".join(filter(None, (*map(str, first["loc"]), blamed)))
        raise FederatedError(
            f"expect.{name}: this scenario cannot be trained by {reference.algorithm}: "
            f"{where}: {first['msg']}"
        ) from error
