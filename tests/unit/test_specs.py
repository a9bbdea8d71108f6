"""The typed traits of entries: misspelled ones and those of another type are refused by name."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from pytest_federated.clients.sampling.sampler import samplers
from pytest_federated.data.shifts.shift import shifts
from pytest_federated.data.splits.partition import splits
from pytest_federated.registry.concepts import concepts
from pytest_federated.registry.registry import Registry


def traits_of(registry: Registry[Any, ..., Any]) -> list[str]:
    spec: Any = registry.spec
    return [field.name for field in dataclasses.fields(spec)]


@pytest.mark.parametrize("plural", list(concepts()))
def test_a_misspelled_trait_is_refused_and_the_allowed_ones_are_named(plural: str) -> None:
    registry = concepts()[plural]
    for trait in traits_of(registry):
        with pytest.raises(TypeError) as caught:
            registry("new", **{f"{trait}x": True})
        allowed = ", ".join(traits_of(registry))
        assert str(caught.value) == (
            f"{registry.what} 'new': has no trait '{trait}x'; allowed: {allowed}; "
            f"did you mean '{trait}'?"
        )
    assert "new" not in registry


@pytest.mark.parametrize("plural", list(concepts()))
def test_every_spec_is_a_frozen_dataclass_whose_traits_are_documented(plural: str) -> None:
    spec: Any = concepts()[plural].spec
    documented = "\n".join(base.__doc__ or "" for base in spec.__mro__)
    for trait in traits_of(concepts()[plural]):
        assert f"    {trait}: " in documented, trait
    registry = concepts()[plural]
    entry = registry[registry.names()[0]]
    with pytest.raises(dataclasses.FrozenInstanceError):
        entry.spec.example = {}


def test_a_trait_of_another_type_is_refused() -> None:
    with pytest.raises(TypeError, match=r"'new': trait any_labels: got 1; .* valid boolean"):
        splits("new", any_labels=1)  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match=r"'new': trait accounting: got 'none'; .*'poisson'"):
        samplers("new", accounting="none")  # pyright: ignore[reportArgumentType]


def test_a_shift_says_what_it_changes() -> None:
    with pytest.raises(TypeError, match=r"shift 'new': the trait 'of' is missing; allowed: feat"):
        shifts("new")


def test_every_example_is_valid() -> None:
    """The examples that the docs show can be used."""
    for registry in concepts().values():
        for name in registry.names():
            if example := registry[name].spec.example:
                registry.parse({"kind": name, **example})
