"""Results by the names of their scenarios."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from pytest_federated.core.errors import FederatedError
from pytest_federated.core.suggestions import suggest
from pytest_federated.results.record import Result


def select(results: Sequence[Result], patterns: Sequence[str]) -> list[Result]:
    """Those whose id matches one of the patterns, or all where there are none.

    ``*`` and ``?`` stand for what they do in a shell; brackets for themselves, as ids have them.

    Raises:
        FederatedError: a pattern matches none.

    """
    plain = [p.replace("[", "[[]") for p in patterns]
    for given, pattern in zip(patterns, plain):
        if not any(fnmatchcase(r.id, pattern) for r in results):
            raise FederatedError(
                f"no scenario is named {given}; {suggest(given, [r.id for r in results])}"
            )
    return [r for r in results if not plain or any(fnmatchcase(r.id, p) for p in plain)]
