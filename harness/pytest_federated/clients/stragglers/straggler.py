"""Stragglers by name: clients that do only a part of their local steps before the round ends.

A straggler function takes the full numbers of local steps, int (n,), of the clients that straggle
in a round, the number of local epochs, a random generator of this round, and its keys from the
scenario file. It returns the steps, int (n,), that they get done.

Source: Li et al., Federated Optimization in Heterogeneous Networks (FedProx), MLSys 2020, section
5.2 ("systems heterogeneity"), arXiv:1812.06127.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple, Protocol

import numpy as np
from pydantic import Field

from pytest_federated.core.errors import DataError
from pytest_federated.core.schema import Section
from pytest_federated.core.seeds import Stream, generator
from pytest_federated.core.shares import share_of_none
from pytest_federated.registry.registry import Registry
from pytest_federated.registry.spec import Spec


class Stragglers(Section):
    """Keys that every kind of straggler has.

    `share` of each cohort, drawn again in every round, straggles. With `drop` the server does not
    wait for them: they count as dropped out.
    """

    share: Annotated[float, Field(gt=0, le=1, description="Of the clients of a round.")]
    drop: bool = False


@dataclass(frozen=True)
class StragglerSpec(Spec):
    """The traits of a kind of straggler.

    Attributes:
        ignores_data: a client's steps do not depend on the examples of others.
        by_epochs: it needs local epochs, and cannot be with `training.local_steps`.

    """

    ignores_data: bool = False
    by_epochs: bool = False


class Straggler(Protocol):
    """Says how much of their work slow clients get done."""

    def __call__(
        self,
        full: np.ndarray,
        local_epochs: int,
        rng: np.random.Generator,
        /,
        *args: Any,
        **keys: Any,
    ) -> np.ndarray:
        """Returns the local steps that each client does, int (n,): 1 to `full`, int (n,)."""
        ...


stragglers = Registry(
    "kind of straggler",
    Straggler,
    StragglerSpec,
    Stragglers,
    plural="stragglers",
    package=__package__,
    error=DataError,
)


def without_stragglers(choice: Section, cohort: int) -> str:
    """Says why nobody straggles in a cohort of so many clients; empty where somebody does."""
    share: float = choice.share  # type: ignore[attr-defined]  # see Stragglers
    return share_of_none(share, cohort, "nobody, so no client would straggle")


def doing_all(choice: Section, most_steps: int, local_epochs: int) -> str:
    """Says why a straggler would do all of its work; empty where it may do less, or is dropped.

    `most_steps` is how many local steps any client has; a straggler does at least one.
    """
    if choice.drop:  # type: ignore[attr-defined]  # see Stragglers
        return ""
    entry = stragglers.entry(choice)
    if entry.spec.by_epochs and local_epochs == 1:
        one, allowed = "local epoch (training.local_epochs)", ["more local epochs"]
        allowed += [n for n in stragglers.names() if not stragglers[n].spec.by_epochs]
    elif most_steps == 1:
        one, allowed = "local step", ["more local epochs or steps", "smaller batches"]
    else:
        return ""
    return (
        f"got {entry.name}; a straggler does at least one {one}, and no client has more, so it "
        f"would do all of its work; allowed: {', '.join(allowed)}, or drop: true"
    )


class Done(NamedTuple):
    """Int (n,) local steps that each client gets done, and bool (n,) who straggles."""

    steps: np.ndarray
    straggles: np.ndarray


def slow_down(
    choice: Section, full: np.ndarray, local_epochs: int, seed: int, round_number: int
) -> Done:
    """Draws who straggles, and what these clients get done of `full`, int (n,) local steps.

    Raises:
        DataError: the function returns steps that are not from 1 to the full number.

    """
    entry = stragglers.entry(choice)
    rng = generator(seed, Stream.STRAGGLERS, round_number)
    count = round(choice.share * len(full))  # type: ignore[attr-defined]  # see Stragglers
    slow = np.sort(rng.permutation(len(full))[:count])
    done, straggles = full.copy(), np.zeros(len(full), bool)
    steps = np.asarray(entry.call(choice, full[slow], local_epochs, rng))
    if steps.size and steps.dtype.kind not in "iu":
        raise entry.gave(steps, "numbers of steps, whole ones")
    if steps.shape != slow.shape or (steps < 1).any() or (steps > full[slow]).any():
        raise DataError(
            f"the stragglers {entry.name!r} gave {steps.tolist()} of {full[slow].tolist()} steps; "
            "each must do at least one and at most all"
        )
    done[slow], straggles[slow] = steps, True
    return Done(done, straggles)
