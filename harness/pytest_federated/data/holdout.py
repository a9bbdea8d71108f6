"""Holding examples out for validation and testing, so that labels keep their proportions."""

from __future__ import annotations

import numpy as np

from pytest_federated.core.seeds import Stream, generator

# The roles of examples.
TRAIN, VALIDATION, TEST = range(3)


def hold_out(labels: np.ndarray, fractions: tuple[float, float], seed: int) -> np.ndarray:
    """Draws which of all examples are held out, before they are split over clients.

    Args:
        labels: (n,) or (n, ...), of all examples.
        fractions: of all examples, those for validation and for testing; 0 for none.
        seed: of the scenario.

    Returns:
        int64 (n,): `TRAIN`, `VALIDATION` or `TEST` for each example.

    """
    to_validate, to_test = fractions
    roles = np.full(len(labels), TRAIN, np.int64)
    if to_test:
        roles[_stratified(labels, to_test, generator(seed, Stream.TEST_SET))] = TEST
    if to_validate:
        rest = np.flatnonzero(roles == TRAIN)
        fraction = to_validate * len(labels) / max(len(rest), 1)
        picked = _stratified(labels[rest], fraction, generator(seed, Stream.HOLDOUT))
        roles[rest[picked]] = VALIDATION
    return roles


def hold_out_by_client(
    labels: np.ndarray,
    dealt: np.ndarray,
    owner: np.ndarray,
    fractions: tuple[float, float],
    seed: int,
) -> np.ndarray:
    """Draws which of its examples each client holds out; it keeps at least one to train on.

    Args:
        labels: (n,) or (n, ...), of all examples.
        dealt: int, the positions of the examples that a client has.
        owner: int (n,), the client of each example.
        fractions: of a client's examples, those for validation and for testing.
        seed: of the scenario.

    Returns:
        int8 (n,): `TRAIN`, `VALIDATION` or `TEST` for each example.

    """
    rng = generator(seed, Stream.HOLDOUT)
    shuffled = rng.permutation(dealt)
    rest = shuffled[np.lexsort((_strata(labels)[shuffled], owner[shuffled]))]
    sizes = np.bincount(owner[dealt])
    roles = np.full(len(labels), TRAIN, np.int8)
    for role, fraction in zip((VALIDATION, TEST), fractions):
        sizes_left = np.bincount(owner[rest], minlength=len(sizes))
        counts = np.minimum(np.rint(sizes * fraction).astype(np.int64), sizes_left - 1)
        roles[rest[_evenly_spaced(sizes_left, counts, rng)]] = role
        rest = rest[roles[rest] == TRAIN]
    return roles


def _stratified(labels: np.ndarray, fraction: float, rng: np.random.Generator) -> np.ndarray:
    """Draws int positions of a `fraction` of the examples; labels keep their proportions.

    Systematic sampling: evenly spaced positions of the shuffled, then label-sorted examples
    (W. G. Cochran, Sampling Techniques, 3rd ed. 1977, chapter 8).
    """
    n = len(labels)
    shuffled = rng.permutation(n)
    by_label = shuffled[np.argsort(_strata(labels)[shuffled], kind="stable")]
    count = np.array([min(n, round(n * fraction))])
    return by_label[_evenly_spaced(np.array([n]), count, rng)]


def _strata(labels: np.ndarray) -> np.ndarray:
    """Returns the classes whose proportions are kept: the labels, or one for several labels."""
    return labels if labels.ndim == 1 else np.zeros(len(labels), np.int8)


def _evenly_spaced(groups: np.ndarray, counts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draws int positions, `counts` of each group; groups are runs of `groups` neighbors each."""
    of = np.repeat(np.arange(len(groups)), counts)
    within = np.arange(len(of)) - np.repeat(np.cumsum(counts) - counts, counts)
    spaced = ((within + rng.random(len(groups))[of]) * groups[of] / counts[of]).astype(np.int64)
    return (np.cumsum(groups) - groups)[of] + np.minimum(spaced, groups[of] - 1)
