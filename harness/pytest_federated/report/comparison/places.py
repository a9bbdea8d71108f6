"""Places in a matrix: what of one names the task, and what the variant that is compared there."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

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


def telling(
    labels: Sequence[str], needed: Collection[str], places: Sequence[Mapping[str, str]]
) -> list[str]:
    """Returns the labels that tell places apart, without those whose values the others decide.

    Of labels that decide each other, such as the local epochs and the rounds of a matrix that
    varies both together, the first ones stay. Those that are needed stay in any case.
    """
    kept = list(labels)
    for label in reversed(labels):
        others = [one for one in kept if one != label]
        if others and label not in needed and follows(label, others, places):
            kept = others
    return kept
