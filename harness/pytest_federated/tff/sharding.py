"""Dividing a computation among workers.

TFF splits a computation that aggregates once into what comes before, the merging of two partial
aggregates, and what comes after. Each worker runs the first part for its share of the clients.
"""

from __future__ import annotations

import functools
from typing import Any, Optional, Protocol

from pytest_federated.core.errors import RuntimeUnavailable
from pytest_federated.tff.compiler import simulated
from pytest_federated.tff.event_loop import EventLoopThread

_MAX_FORMS = 32  # remembered, the most recently used


class Pool(Protocol):
    """Workers in order."""

    def __len__(self) -> int: ...

    async def invoke(self, position: int, computation: Any, argument: Any) -> Any:
        """Runs a computation on the worker at `position`, or on another in its place."""
        ...


def divided_context(tff: Any, workers: Pool) -> Any:
    """Returns a `tff.framework.SyncContext`; one worker runs everything, undivided."""
    struct = tff.structure.Struct.unnamed
    form: Any = None  # the three parts of the computation under way

    class Share(tff.framework.AsyncContext):
        """A fixed share of the clients, which TFF takes for one worker.

        TFF would merge results as they come in, and fail with the first share that fails. Here
        all outcomes, failures too, are collected until no share is running, and then merged in
        the order of the workers: the same additions every time, and nothing is left running.
        """

        def __init__(self, position: int) -> None:
            self._position = position

        async def invoke(self, computation: Any, argument: Any) -> Any:
            if computation is form.up_to_merge:
                try:
                    outcome = await workers.invoke(self._position, computation, argument)
                except Exception as error:
                    outcome = error
                return {self._position: outcome}
            if computation is form.merge:
                return {**argument[0], **argument[1]}
            if form.up_to_merge.type_signature.parameter is None:
                argument = await self._merged(argument)
            else:
                state, outcomes = argument
                argument = struct(state, await self._merged(outcomes))
            return await workers.invoke(self._position, computation, argument)

        async def _merged(self, outcomes: dict[int, Any]) -> Any:
            in_order = [outcomes[position] for position in sorted(outcomes)]
            for outcome in in_order:
                if isinstance(outcome, Exception):
                    raise outcome
            merged = in_order[0]
            for outcome in in_order[1:]:
                both = struct(merged, outcome)
                merged = await workers.invoke(self._position, form.merge, both)
            return merged

    class Context(tff.framework.SyncContext):
        def __init__(self) -> None:
            self._thread = EventLoopThread()
            self._forms = functools.lru_cache(_MAX_FORMS)(_form)
            self._composed = tff.backends.native.create_mergeable_comp_execution_context(
                [Share(position) for position in range(len(workers))]
            )

        def invoke(self, computation: Any, argument: Any = None) -> Any:
            nonlocal form
            if len(workers) == 1:
                return self._thread.run(workers.invoke(0, computation, argument))
            form = self._forms(computation)
            return self._composed.invoke(form, argument)

    return Context()


def undividable(*computations: Any) -> Optional[str]:
    """Returns why one of these TFF computations cannot be divided among workers, or None."""
    try:
        for computation in computations:
            _form(computation)
    except RuntimeUnavailable as error:
        return str(error)
    return None


def _form(computation: Any) -> Any:
    import tensorflow_federated as tff

    def is_at_clients(tff_type: Any) -> bool:
        return isinstance(tff_type, tff.FederatedType) and tff_type.placement is tff.CLIENTS

    try:
        form = tff.backends.native.compile_to_mergeable_comp_form(simulated(computation))
    except (TypeError, ValueError) as error:
        raise _refused("one of its aggregations needs the result of another") from error
    if tff.types.contains(form.after_merge.type_signature.result, is_at_clients):
        # TFF would return them in the order in which the workers happen to finish.
        raise _refused("its clients keep results of their own from round to round")
    return form


def _refused(reason: str) -> RuntimeUnavailable:
    return RuntimeUnavailable(
        "the algorithm of this scenario cannot be divided among several remote workers, as "
        f"{reason}; it runs on one worker, or on none (--fed-workers=HOST:PORT, or without)"
    )
