"""The schema of a scenario, composed of those of data, clients, training and expectations."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Optional, Union

from pydantic import (
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from pytest_federated.clients.attacks.attack import attacks
from pytest_federated.clients.sampling.sampler import samplers
from pytest_federated.clients.schema import Clients
from pytest_federated.clients.stragglers.straggler import doing_all, stragglers
from pytest_federated.core.errors import FederatedError
from pytest_federated.core.schema import Section, problem, without_empty
from pytest_federated.core.suggestions import suggest
from pytest_federated.data.datasets.dataset import LABELED, has_test_set, stated_task
from pytest_federated.data.schema import Data
from pytest_federated.expectations.baselines import always_measured
from pytest_federated.expectations.expectation import expectations
from pytest_federated.expectations.judging import unfit
from pytest_federated.metrics.measure import headline
from pytest_federated.metrics.metric import lack_of, metrics
from pytest_federated.metrics.targets import unreachable
from pytest_federated.registry.choice import Choice, Choices
from pytest_federated.registry.registry import Registry, kind
from pytest_federated.scenario.orders import orders_in
from pytest_federated.scenario.tune import Tune
from pytest_federated.training.algorithms.algorithm import algorithms, no_change
from pytest_federated.training.models.losses import unfit_class_weights, unfit_loss
from pytest_federated.training.models.model import models
from pytest_federated.training.privacy import is_bounded, is_private
from pytest_federated.training.schema import Training

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


# Names that have another meaning in pytest, as markers or in -m expressions.
_RESERVED_TAGS = {
    *("skip", "skipif", "xfail", "parametrize", "usefixtures", "filterwarnings"),
    *("and", "or", "not"),
}


# What no tag is: empty, or with a digit first, or with ASCII characters but letters, digits and _.
# It says nothing of other characters, of which JSON Schema knows no classes.
_TAG = r"^[^\x00-@\[-^`{-\x7f][^\x00-/:-@\[-^`{-\x7f]*$"


def _describe_tags(schema: dict[str, Any]) -> None:
    schema["items"].update(pattern=_TAG, **{"not": {"enum": sorted(_RESERVED_TAGS)}})


def _describe_seeds(schema: dict[str, Any]) -> None:
    schema.update(minItems=1, uniqueItems=True)
    schema["items"]["minimum"] = 0


class BaselineMargin(Section):
    """How a metric is compared with its baseline: `margin` is the least difference that matters."""

    margin: Annotated[float, Field(gt=0, allow_inf_nan=False)]


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _as_tuples(value: Any) -> Any:
    return tuple(map(_as_tuple, value)) if isinstance(value, list) else value


class Published(Section):
    """What a paper found where these variants are compared, for the report; nothing judges it.

    Variants are named by what tells them from others, such as ``algorithm=scaffold``.
    """

    source: Annotated[str, Field(min_length=1, description="The paper, and where it says this.")]
    says: Annotated[str, Field(description="Its finding in a sentence.")] = ""
    order: Annotated[
        tuple[Union[str, tuple[str, ...]], ...],
        BeforeValidator(_as_tuples),
        Field(description="Its variants, the best first; a list of such lists for several orders."),
    ] = ()
    figures: Annotated[
        dict[str, Annotated[float, Field(allow_inf_nan=False)]],
        Field(description="Its figure of each variant, shown beside ours; they order them, too."),
    ] = Field(default_factory=dict)

    @property
    def orders(self) -> Sequence[Sequence[str]]:
        """Its orders, each with the best variant first."""
        return orders_in(self.order)

    @model_validator(mode="after")
    def _says_something(self) -> Published:
        if len({isinstance(part, str) for part in self.order}) > 1:
            raise problem("order", "must list variants, or lists of variants, not both")
        if any(len(set(one)) < max(2, len(one)) for one in self.orders):
            raise problem("order", "must name at least 2 variants, each of them once")
        if not (self.order or self.figures):
            raise problem("", "needs order (the best first), or the figures of variants")
        return self


class Comparison(Section):
    """With what the report compares the variants of the matrix.

    `reference` is a variant, or what several of them have in common, one for each combination of
    the other keys: ``algorithm=fedavg``. By default it is the first value of the last key.
    """

    reference: str = ""
    metric: Annotated[
        Optional[str], Field(description="What is compared; accuracy, or the task's first metric.")
    ] = None
    targets: Annotated[
        tuple[Annotated[float, Field(allow_inf_nan=False)], ...],
        BeforeValidator(_as_tuple),
        Field(description="Values of the metric: how many rounds and bytes does each take?"),
    ] = ()
    published: Annotated[
        Optional[Published], Field(description="What a paper found; puts this on papers.md.")
    ] = None

    @model_serializer(mode="wrap")
    def _brief(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return without_empty(self, write, "published")

    @model_validator(mode="after")
    def _has_a_metric_that_there_is(self) -> Comparison:
        if self.metric is not None and self.metric not in metrics:
            raise problem("metric", suggest(self.metric, metrics.names()))
        return self


def _names_metrics(schema: dict[str, Any]) -> None:
    schema["propertyNames"] = {"enum": metrics.names()}


class Scenario(Section):
    """One federated workload and what is expected of it.

    `model` is None where the algorithm needs none.

    Everything random is derived from `seeds`: the test set, the split, the initial weights,
    the cohorts and the order of examples. One training is run for each seed.
    """

    schema_version: Annotated[int, Field(alias="schema", ge=1, le=1)] = 1
    name: Annotated[str, Field(json_schema_extra={"pattern": f"^{_NAME.pattern}$"})]
    description: str = ""
    tags: Annotated[tuple[str, ...], Field(json_schema_extra=_describe_tags)] = ()
    data: Data
    clients: Clients
    model: Annotated[Optional[Section], Choice(models, optional=True)]
    training: Training
    seeds: Annotated[tuple[int, ...], Field(json_schema_extra=_describe_seeds)] = (0,)
    tune: Optional[Tune] = None
    expect: Annotated[dict[str, Section], Choices(expectations)] = Field(default_factory=dict)
    baseline: dict[str, BaselineMargin] = Field(
        default_factory=dict, json_schema_extra=_names_metrics
    )
    comparison: Optional[Comparison] = None

    @model_serializer(mode="wrap")
    def _brief(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return without_empty(self, write, "tune", "comparison")

    @model_validator(mode="before")
    @classmethod
    def _tuples(cls, value: Any) -> Any:
        """Turns YAML's lists into the tuples of the frozen model."""
        if not isinstance(value, Mapping):
            return value
        lists = ("tags", "seeds")
        return {k: tuple(v) if k in lists and isinstance(v, list) else v for k, v in value.items()}

    @model_validator(mode="before")
    @classmethod
    def _adds_no_model_where_none_is_needed(cls, value: Any) -> Any:
        training = value.get("training") if isinstance(value, Mapping) else None
        algorithm = training.get("algorithm") if isinstance(training, Mapping) else None
        settings = algorithms.normalize(algorithm)
        name = settings.get("kind") if isinstance(settings, Mapping) else None
        if isinstance(name, str) and name in algorithms and model_is_refused_by(name):
            return {"model": None, **value}
        return value

    @model_validator(mode="after")
    def _has_only_keys_that_the_algorithm_uses(self) -> Scenario:
        name = kind(self.training.algorithm)
        if self.model is None and not model_is_refused_by(name):
            raise problem("model", "got nothing; must be a name, or a mapping with 'kind'")
        for key, reason in algorithms[name].spec.refuses.items():
            value = functools.reduce(getattr, key.split("."), self)
            if value is not None:
                got = f"got {kind(value)}; " if isinstance(value, Section) else ""
                raise problem(
                    key,
                    f"{got}{name} has no use for it, as {reason}; leave it out, or say "
                    "null where a defaults.yaml has it",
                )
        return self

    @model_validator(mode="after")
    def _has_attacks_that_the_algorithm_allows(self) -> Scenario:
        chosen, training = self.clients.attacks, self.training
        if chosen is None or not attacks.entry(chosen).spec.changes_updates:
            return self
        if reason := no_change(training.algorithm, training.execution == "standard"):
            allowed = [n for n in attacks.names() if not attacks[n].spec.changes_updates]
            raise problem(
                "clients.attacks",
                f"got {kind(chosen)}; {reason}; allowed with it: {', '.join(allowed)}",
            )
        return self

    @model_validator(mode="after")
    def _expects_what_the_task_has(self) -> Scenario:
        task = stated_task(self.data.dataset)
        if task and (misfit := unfit(self.expect, task)):
            name, reason = misfit
            raise problem(f"expect.{name}", reason)
        return self

    @model_validator(mode="after")
    def _has_a_loss_that_fits_task_and_model(self) -> Scenario:
        task, training = stated_task(self.data.dataset), self.training
        for key in ("loss", "class_weights"):
            if getattr(training, key) and self.model and models.entry(self.model).spec.has_own_loss:
                raise problem(
                    f"training.{key}",
                    f"a model of the kind {kind(self.model)} has its own loss; leave it out",
                )
        if task and (reason := unfit_loss(training.loss, task)):
            raise problem("training.loss", reason)
        if task and training.class_weights and (reason := unfit_class_weights(task)):
            raise problem("training.class_weights", reason)
        return self

    @model_validator(mode="after")
    def _has_what_metrics_are_measured_on(self) -> Scenario:
        for place, name, keys in self._measured():
            try:
                lack = lack_of(name, keys, self)
            except FederatedError as error:  # of the user's own metric, or own attack
                raise problem(place, str(error)) from error
            if lack:
                raise problem(*lack.at(place))
        return self

    def _measured(self) -> Iterator[tuple[str, str, Section]]:
        """Yields the keys that ask for a metric, its name, and the keys that it is measured with.

        But for keys that it cannot do without, where nothing gives them.
        """
        for name, section in self.expect.items():
            yield f"expect.{name}", name, section
        for key, asking in (("comparison.metric", self.comparison), ("tune.metric", self.tune)):
            name = asking.metric if asking else None
            if name is None:
                continue
            params = metrics[name].params
            if not any(field.is_required() for field in params.model_fields.values()):
                yield key, name, params.model_validate({"kind": name})

    @model_validator(mode="after")
    def _averages_over_rounds_that_there_are(self) -> Scenario:
        for name, section in self.expect.items():
            over_last = getattr(section, "over_last", None)
            if over_last is None:
                continue
            if over_last > self.training.rounds:
                raise problem(f"expect.{name}.over_last", _too_few(self.training.rounds))
            if getattr(section, "best_by", None):
                raise problem(f"expect.{name}.over_last", "best_by takes one round; choose one")
        return self

    @model_validator(mode="after")
    def _compares_by_targets_that_can_be_reached(self) -> Scenario:
        task, comparison = stated_task(self.data.dataset), self.comparison
        if comparison is None or (comparison.metric is None and task not in (None, *LABELED)):
            return self
        name = comparison.metric or headline().name
        for target in comparison.targets:
            if reason := unreachable(name, target):
                raise problem("comparison.targets", reason)
        return self

    @model_validator(mode="after")
    def _tunes_by_what_is_measured(self) -> Scenario:
        if self.tune is None:
            return self
        if self.tune.by == "validation" and self.data.validation_fraction is None:
            raise problem(
                "data.validation_fraction",
                "missing; tune chooses by what it holds out (or, with by: test, by the test set, "
                "whose figures are then too good)",
            )
        if (self.tune.over_last or 0) > self.training.rounds:
            raise problem("tune.over_last", _too_few(self.training.rounds))
        return self

    @model_validator(mode="after")
    def _has_margins_of_what_is_compared(self) -> Scenario:
        expected = (name for name in self.expect if name in metrics)
        always = always_measured(stated_task(self.data.dataset))
        compared = list(dict.fromkeys([*always, *expected]))
        for name in self.baseline:
            if name not in metrics:
                raise problem(f"baseline.{name}", suggest(name, compared))
            if name not in compared:
                raise problem(
                    f"baseline.{name}",
                    "is not compared, as nothing is expected of it; compared are "
                    + ", ".join(compared),
                )
        return self

    @model_validator(mode="after")
    def _holds_out_examples_of_clients(self) -> Scenario:
        has_own = has_test_set(self.data.dataset.model_dump())  # which may say whose it is
        if self.data.holdout == "per_client" or has_own:
            return self
        entry = algorithms.entry(self.training.algorithm)
        which = {"personalize": "each client"}
        if entry.spec.has_no_global_model:
            which["eval_clients_every"] = f"with {entry.name}, each client's own model"
        for key, judged in which.items():
            if getattr(self.training, key) is not None:
                raise problem(
                    f"training.{key}",
                    f"{judged} is judged on examples of its own; needs data.holdout: per_client",
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
        if taken := _RESERVED_TAGS.intersection(tags):
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
        if not is_private(self.training.aggregator):
            return self
        name, algorithm = kind(self.training.aggregator), algorithms.entry(self.training.algorithm)
        if sent := algorithm.spec.unprotected:
            raise problem(
                "training.aggregator",
                f"got {name}; with {algorithm.name} clients send {sent}, too, which get no noise; "
                "leave it out, or choose another algorithm",
            )
        if not is_bounded(self.clients.sampling):
            able = [n for n in samplers.names() if not samplers[n].spec.repeats]
            raise problem(
                "training.aggregator",
                f"got {name}; with {kind(self.clients.sampling)} sampling a client may come "
                "several times in a round, and no noise is enough; "
                f"allowed with: {', '.join(able)}",
            )
        return self

    @model_validator(mode="after")
    def _draws_no_client_twice_of_which_one_thing_is_kept(self) -> Scenario:
        algorithm = algorithms.entry(self.training.algorithm)
        if (kept := algorithm.spec.keeps_of_clients) and not is_bounded(self.clients.sampling):
            able = [
                n + (" with replacement: false" if samplers[n].spec.repeats else "")
                for n in samplers.names()
                if not samplers[n].spec.repeats or "replacement" in samplers[n].keywords
            ]
            raise problem(
                "clients.sampling",
                f"got {kind(self.clients.sampling)}; it may draw a client twice in a round, of "
                f"which {algorithm.name} keeps {kept}; allowed: {', '.join(able)}",
            )
        return self

    @model_validator(mode="after")
    def _slows_down_what_it_counts(self) -> Scenario:
        chosen, work = self.clients.stragglers, self.training.local_work
        if chosen is None:
            return self
        if self.training.local_steps is not None and stragglers.entry(chosen).spec.by_epochs:
            able = [n for n in stragglers.names() if not stragglers[n].spec.by_epochs]
            raise problem(
                "clients.stragglers",
                f"got {kind(chosen)}, which does some of the local epochs; there are none with "
                f"training.local_steps; allowed: {', '.join(able)}",
            )
        if reason := doing_all(chosen, work.most_steps(), work.epochs):
            raise problem("clients.stragglers", reason)
        return self

    def id(self, variant: str = "") -> str:
        """Returns the name, and the variant of a matrix: ``digits-label-skew[alpha=0.1]``."""
        return f"{self.name}[{variant}]" if variant else self.name

    def with_rounds(self, rounds: int) -> Scenario:
        """Returns the same scenario, trained for this number of rounds."""
        training = self.training.model_copy(update={"rounds": rounds})
        return self.model_copy(update={"training": training})

    def settings(self) -> dict[str, Any]:
        """Returns the whole scenario as JSON-ready data, with all defaults."""
        return self.model_dump(mode="json", by_alias=True)


def _too_few(rounds: int) -> str:
    return f"there are {rounds} rounds (training.rounds)"


def model_is_refused_by(algorithm: str) -> bool:
    """Returns whether an algorithm trains without a model."""
    return "model" in algorithms[algorithm].spec.refuses


@functools.cache
def default_choices() -> dict[tuple[str, ...], dict[str, Any]]:
    """Returns what a scenario chooses where it says nothing, written out, by key path."""
    defaults: dict[tuple[str, ...], dict[str, Any]] = {}
    for path, _ in choices():
        section: Any = Scenario
        for name in path[:-1]:
            section = section.model_fields[name].annotation
        default = section.model_fields[path[-1]].get_default(call_default_factory=True)
        if isinstance(default, Section):
            defaults[path] = default.model_dump(mode="json")
    return defaults


@functools.cache
def choices(
    section: type[Section] = Scenario,
) -> tuple[tuple[tuple[str, ...], Registry[Any, ..., Any]], ...]:
    """Returns the key paths at which a scenario chooses from a registry, with the registries."""
    return tuple(_choices(section))


def _choices(
    section: type[Section],
) -> Iterator[tuple[tuple[str, ...], Registry[Any, ..., Any]]]:
    for name, field in section.model_fields.items():
        for note in field.metadata:
            if isinstance(note, Choice):
                yield (name,), note.registry
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            for path, registry in choices(field.annotation):
                yield (name, *path), registry
