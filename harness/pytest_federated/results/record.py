"""The record of one scenario: versioned, and the same bytes when nothing changed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Optional, cast

from numpy.typing import NDArray
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from pytest_federated.core.errors import FederatedError
from pytest_federated.core.schema import Figure, without_empty
from pytest_federated.results.tuning import Tuning
from pytest_federated.training.history import TrainingHistory

Status = Literal[
    "passed",
    "failed",
    "reported",
    "diverged",
    "not judged",
    "skipped",
    "errored",
    "not reached",
]
Outcome = Literal["pass", "fail", "inconclusive", "not judged"]


class Verdict(BaseModel):
    """The verdict on one expectation.

    Attributes:
        expectation: its name.
        expected: what the scenario asked for, such as ``>= 0.9``.
        measured: mean over seeds; None where there is no figure.
        spread: standard deviation over seeds (n - 1); None with one seed.
        low: lower end of the 95 % interval of the mean (Student's t); None with one seed.
        high: upper end.
        figures: what was averaged, one for each seed.
        margin: how far on the good side of the threshold; negative when missed.
        passed: whether the expectation counts as met.
        outcome: what is certain; inconclusive where the interval contains the threshold.
        more_seeds: about how many more seeds would decide an inconclusive verdict; None where no
            reasonable number would.
        note: why there is no figure, or a remark about it.

    """

    model_config = ConfigDict(frozen=True, defer_build=True)

    expectation: str
    expected: str
    measured: Optional[Figure] = None
    spread: Optional[Figure] = None
    low: Optional[Figure] = None
    high: Optional[Figure] = None
    figures: tuple[Figure, ...] = ()
    margin: Optional[Figure] = None
    passed: bool
    outcome: Outcome = "not judged"
    more_seeds: Optional[int] = None
    note: str = ""

    @model_validator(mode="before")
    @classmethod
    def _certain(cls, values: Any) -> Any:
        """Takes `passed` for the outcome where a verdict has no other."""
        if isinstance(values, dict) and "outcome" not in values and "passed" in values:
            verdict = cast(dict[str, Any], values)
            return {**verdict, "outcome": "pass" if verdict["passed"] else "fail"}
        return cast(Any, values)


class Compared(BaseModel):
    """How one metric of a run differs from its baseline.

    Attributes:
        metric: its name; ``baseline`` where nothing could be compared.
        before: mean of the baseline over the seeds that are compared; None where there is none.
        now: the same of the run.
        low: lower end of the 95 % interval of the difference, now less before; None of one seed.
        high: upper end.
        worsening: by how much it is worse; negative where it is better.
        margin: the least difference that matters.
        pairs: how many seeds both have; 0 where the seeds are others.
        change: same, better, worse, or undecided.
        passed: whether the scenario may pass.
        more_seeds: about how many more seeds would decide it; None where it is decided, or no
            reasonable number would.
        note: why there is no figure.

    """

    model_config = ConfigDict(frozen=True, defer_build=True)

    metric: str
    before: Optional[Figure] = None
    now: Optional[Figure] = None
    low: Optional[Figure] = None
    high: Optional[Figure] = None
    worsening: Optional[Figure] = None
    margin: Optional[Figure] = None
    pairs: int = 0
    change: Literal["same", "better", "worse", "undecided"]
    passed: bool
    more_seeds: Optional[int] = None
    note: str = ""


class Result(BaseModel):
    """All that is kept of one run of one scenario: no times, no paths, no host names.

    Attributes:
        record: version of this format.
        id: name of the scenario with its matrix variant, as in the pytest node id.
        file: the scenario's file, relative to pytest's root folder; of one outside of it, the last
            folder and the name. Empty of a scenario from Python, and in records that lack it.
        settings: the scenario, with defaults written out; where it was tuned, with what was chosen.
        matrix: the values of a variant of a matrix by dotted key. Written only if there are any.
        tuning: how the scenario was tuned; only then it is written. The histories are those of the
            point that was chosen or, where none could be, of the first one.
        status: the outcome; reported where nothing is judged. A scenario that pytest collected and
            that has no result was skipped, errored, or was not reached.
        reason: why it was skipped, errored, was not reached, diverged or was not judged.
        local_reason: the same with what only this machine says; not part of the record.
        histories: one training for each seed. If the scenario did not run now, they are of an
            earlier run, see `is_earlier`.
        verdicts: one for each expectation.
        versions: versions of the packages that the figures depend on.
        reused: number of trainings that were taken from the cache; not part of the record.
        compared: how each metric differs from the baseline; empty, and not in the record, of a
            session that compared nothing.

    """

    model_config = ConfigDict(frozen=True, defer_build=True, ser_json_inf_nan="constants")

    record: Literal[1] = 1
    id: str
    file: str = ""
    settings: dict[str, Any]
    matrix: dict[str, Any] = {}
    tuning: Optional[Tuning] = None
    status: Status
    reason: str = ""
    local_reason: Annotated[str, Field(exclude=True)] = ""
    histories: tuple[TrainingHistory, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    versions: dict[str, str] = {}
    reused: Annotated[int, Field(exclude=True)] = 0
    compared: tuple[Compared, ...] = ()

    @model_serializer(mode="wrap")
    def _brief(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return without_empty(self, write, "compared", "matrix", "tuning")

    @field_validator("settings")
    @classmethod
    def _of_a_scenario(cls, settings: dict[str, Any]) -> dict[str, Any]:
        if missing := {"data", "clients", "model", "training", "seeds"} - set(settings):
            raise ValueError(f"without {', '.join(sorted(missing))}")
        return settings

    @property
    def recorded(self) -> Result:
        """The same without what its record leaves out: times, models, what only this machine says.

        A session keeps these, so that it holds no models, and has the same with xdist as without.
        """
        bare = {"seconds": (), "model": None}
        histories = tuple(
            h.model_copy(update=bare) if h.model or h.seconds else h for h in self.histories
        )
        return self.model_copy(update={"local_reason": "", "reused": 0, "histories": histories})

    @property
    def trainings(self) -> int:
        """How many trainings it took, those of the points that were not chosen included."""
        if self.tuning is None:
            return len(self.histories)
        return self.tuning.trainings + max(0, len(self.histories) - len(self.tuning.seeds))

    @property
    def is_earlier(self) -> bool:
        """Whether the figures are of an earlier run, as the scenario did not run now."""
        return self.status in ("skipped", "not reached") and bool(self.histories)

    @property
    def is_shown(self) -> bool:
        """Whether reports have a section for it: it has figures, or an error to show."""
        return bool(self.histories) or self.status == "errored"

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of its trainings."""
        return tuple(history.seed for history in self.histories)

    @property
    def model_weights(self) -> dict[int, tuple[NDArray[Any], ...]]:
        """The final weights of each seed whose model was kept, see `FinalModel`."""
        return {h.seed: h.model.weights for h in self.histories if h.model}

    def save(self, folder: Path) -> list[Path]:
        """Writes the final model of each seed: folder/seed-0.npz and, of a Keras model, .keras.

        Returns:
            The files. `model.initial_weights` reads them.

        Raises:
            FederatedError: no model was kept.
            OSError: a file cannot be written.
        """
        models = {h.seed: h.model for h in self.histories if h.model}
        if not models:
            raise FederatedError(
                f"{self.id} has no model to save: the clients share none, or the training "
                "diverged, or it was run without Options(keep_models=True)"
            )
        return [
            file for seed, model in models.items() for file in model.save(folder / f"seed-{seed}")
        ]

    @property
    def whole(self) -> tuple[TrainingHistory, ...]:
        """The trainings that came to their end: those that a mean over seeds can be taken of."""
        return tuple(history for history in self.histories if history.is_whole)

    @property
    def accuracies(self) -> list[float]:
        """Final test accuracy of each seed that came to its end with an evaluation."""
        return [h.evaluated[-1].accuracy or 0.0 for h in self.whole if h.evaluated]
