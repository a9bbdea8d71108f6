"""Results by the names of their scenarios."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from pytest_federated.core.errors import FederatedError
from pytest_federated.core.suggestions import suggest
from pytest_federated.results.record import Result


def select(results: Sequence[Result], patterns: Sequence[str]) -> list[Result]:
    """Returns the results whose id matches one of the patterns, or all if there are none.

    ``*`` and ``?`` mean what they mean in a shell; brackets are literal, as ids have them.

    Raises:
        FederatedError: a pattern matches none.

    """
    escaped = [p.replace("[", "[[]") for p in patterns]
    for pattern, glob in zip(patterns, escaped):
        if not any(fnmatchcase(r.id, glob) for r in results):
            raise FederatedError(
                f"no scenario is named {pattern}; {suggest(pattern, [r.id for r in results])}"
            )
    return [r for r in results if not escaped or any(fnmatchcase(r.id, g) for g in escaped)]
