"""What a scenario may say, put together from what data, training and checks understand."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from harness.checks import checks
from harness.data.settings import Clients, Data
from harness.registry import Choice, Choices, Registry, kind
from harness.settings import Section, problem
from harness.systems.sampling import samplers
from harness.training.models import models
from harness.training.privacy import is_bounded
from harness.training.settings import Training

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


# Names that mean something else to pytest, as markers or in -m expressions.
_NO_TAGS = {
    *("skip", "skipif", "xfail", "parametrize", "usefixtures", "filterwarnings"),
    *("and", "or", "not"),
}


class Scenario(Section):
    """One federated workload and what is expected of it.

    Everything random is derived from `seeds`: the test set, the split, the initial weights,
    the cohorts and the order of examples. One training is run for each seed.
    """

    schema_version: Annotated[int, Field(alias="schema", ge=1, le=1)] = 1
    name: str
    description: str = ""
    tags: tuple[str, ...] = ()
    data: Data
    clients: Clients
    model: Annotated[Section, Choice(models)]
    training: Training
    seeds: tuple[int, ...] = (0,)
    expect: Annotated[dict[str, Section], Choices(checks)] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _tuples(cls, value: Any) -> Any:
        """YAML gives lists where the frozen model keeps tuples."""
        if not isinstance(value, Mapping):
            return value
        lists = ("tags", "seeds")
        return {k: tuple(v) if k in lists and isinstance(v, list) else v for k, v in value.items()}

    @model_validator(mode="after")
    def _clients_hold_out_what_they_fine_tune_for(self) -> Scenario:
        if self.training.personalise is not None and self.data.holdout != "per_client":
            raise problem(
                "training.personalise",
                "each client is judged on examples of its own; needs data.holdout: per_client",
            )
        return self

    @field_validator("name")
    @classmethod
    def _names_files(cls, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise problem("", "allowed: letters, digits, '-', '_' and '.', as it names files")
        return name

    @field_validator("tags")
    @classmethod
    def _are_markers(cls, tags: tuple[str, ...]) -> tuple[str, ...]:
        if not all(tag.isidentifier() for tag in tags):
            raise problem("", "allowed: letters, digits and '_', as tags become pytest markers")
        if taken := _NO_TAGS.intersection(tags):
            raise problem("", f"{', '.join(sorted(taken))}: means something else to pytest")
        return tags

    @field_validator("seeds")
    @classmethod
    def _are_distinct(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if not seeds:
            raise problem("", "must have at least 1 item(s)")
        if min(seeds) < 0:
            raise problem("", "seeds are 0 or greater")
        if len(set(seeds)) < len(seeds):
            raise problem("", "the same seed twice is the same training twice")
        return seeds

    @model_validator(mode="after")
    def _can_be_private(self) -> Scenario:
        if kind(self.training.aggregator) == "dp" and not is_bounded(self.clients.sampling):
            able = [n for n in samplers.names() if not samplers[n].traits.get("repeats")]
            raise problem(
                "training.aggregator",
                f"got dp; with {kind(self.clients.sampling)} sampling a client may come several "
                f"times in a round, and no noise is enough; allowed with: {', '.join(able)}",
            )
        return self

    def id(self, variant: str = "") -> str:
        """Name, and the variant of a matrix: ``digits-label-skew[alpha=0.1]``."""
        return f"{self.name}[{variant}]" if variant else self.name

    def settings(self) -> dict[str, Any]:
        """The whole scenario as JSON-ready data, with defaults written out."""
        return self.model_dump(mode="json", by_alias=True)


def choices(section: type[Section] = Scenario) -> Iterator[tuple[tuple[str, ...], Registry[Any]]]:
    """The key paths at which a scenario chooses from a registry, and these registries."""
    for name, field in section.model_fields.items():
        for note in field.metadata:
            if isinstance(note, Choice):
                yield (name,), note.registry
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            for path, registry in choices(field.annotation):
                yield (name, *path), registry
