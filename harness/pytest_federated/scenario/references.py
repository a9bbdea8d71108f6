"""What the expectations of a scenario compare it with: other scenarios, to be trained as well."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ValidationError

from pytest_federated.core.errors import FederatedError
from pytest_federated.core.schema import Section
from pytest_federated.core.suggestions import suggest
from pytest_federated.expectations.judging import Reference, references
from pytest_federated.scenario.schema import Scenario
from pytest_federated.training.algorithms.algorithm import algorithms


def compared(
    scenario: Scenario, variant: str = "", siblings: Mapping[str, Scenario] = {}
) -> dict[str, Scenario]:
    """For each expectation that compares, the scenario that it compares with.

    Args:
        scenario: the scenario.
        variant: which variant of its matrix it is.
        siblings: all variants of the matrix.

    Raises:
        FederatedError: there is no such variant, or the algorithm cannot train this scenario.

    """
    return {
        name: _other(scenario, reference, siblings, name)
        for name, reference in references(scenario.expect).items()
        if not (variant and reference.variant == variant)
    }


def concerning(scenario: Scenario, variant: str) -> dict[str, Section]:
    """The expectations of a variant: all but those that would compare it with itself."""
    refer = references(scenario.expect)
    return {
        name: chosen
        for name, chosen in scenario.expect.items()
        if not (variant and name in refer and refer[name].variant == variant)
    }


def _other(
    scenario: Scenario, reference: Reference, siblings: Mapping[str, Scenario], name: str
) -> Scenario:
    if reference.variant or not reference.algorithm:
        if reference.variant not in siblings:
            known = suggest(reference.variant, siblings) if siblings else "there is no matrix"
            raise FederatedError(
                f"expect.{name}.relative_to: got '[{reference.variant}]'; no such variant; {known}"
            )
        return siblings[reference.variant]
    if reference.algorithm not in algorithms:
        raise FederatedError(f"expect.{name}: needs the algorithm {reference.algorithm!r}")
    settings = scenario.settings()
    settings["training"]["algorithm"] = reference.algorithm
    try:
        return Scenario.model_validate({**settings, "expect": {}})
    except ValidationError as bad:
        first = bad.errors()[0]
        blamed = first.get("ctx", {}).get("key", "")
        where = ".".join(filter(None, (*map(str, first["loc"]), blamed)))
        raise FederatedError(
            f"expect.{name}: this scenario cannot be trained by {reference.algorithm}: "
            f"{where}: {first['msg']}"
        ) from bad
