"""Places in a matrix: what of one names the task, and what the variant that is compared there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Values = tuple[tuple[str, str], ...]  # labels of keys with their values, as in ids


def cell(
    place: Mapping[str, str], labels: Sequence[str], keys: Sequence[str]
) -> tuple[Values, Values]:
    """Returns the task and the variant of a place in a matrix, whose variants differ in `keys`."""
    return (
        tuple((label, place[label]) for label in labels if label not in keys),
        tuple((label, place[label]) for label in labels if label in keys),
    )


def follows(label: str, keys: Sequence[str], places: Sequence[Mapping[str, str]]) -> bool:
    """Returns whether the values of these keys decide that of another, as they vary together."""
    values: dict[tuple[str, ...], set[str]] = {}
    for place in places:
        values.setdefault(tuple(place[key] for key in keys), set()).add(place[label])
    return all(len(of_keys) == 1 for of_keys in values.values())
