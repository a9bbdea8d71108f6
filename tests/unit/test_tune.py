"""`tune`: a grid of settings, of which the best on validation data is judged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Optional

import pytest
from example_results import example_result, example_scenario, history, with_validation
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pytest_federated.core.errors import FederatedError, ScenarioError
from pytest_federated.expectations.baselines import trained_settings
from pytest_federated.results.store import (
    file_name,
    json_text,
    parse_result,
    with_earlier_figures,
    write_result,
)
from pytest_federated.results.tuning import GridPoint, Tuning, best_place
from pytest_federated.running.options import Options
from pytest_federated.running.pipeline import submit
from pytest_federated.running.plan import plan
from pytest_federated.running.store import leftover_checkpoints
from pytest_federated.running.tuning import tuning_of
from pytest_federated.scenario.case import Case
from pytest_federated.scenario.json_schema import json_schema
from pytest_federated.scenario.schema import Scenario
from pytest_federated.scenario.tune import Tune
from pytest_federated.training.history import TrainingHistory
from ruamel.yaml import YAML

RATE = "training.client_optimizer.learning_rate"
DATA = "data: {dataset: digits, validation_fraction: 0.1}"
SCENARIO = f"""\
schema: 1
name: tiny
{DATA}
clients: {{count: 4}}
model: mlp
training: {{rounds: 2}}
seeds: [3, 4]
"""
TUNE_LINE = 8


def tune(keys: str = f"{RATE}: [0.1, 1]", more: str = "") -> str:
    return f"{SCENARIO}tune: {{keys: {{{keys}}}{more}}}\n"


def rates(case: Case) -> list[float]:
    return [
        point.scenario.settings()["training"]["client_optimizer"]["learning_rate"]
        for point in case.points.values()
    ]


# What is tried


def test_a_tuned_scenario_is_one_case_with_a_point_for_each_combination(
    load: Callable[..., list[Case]],
) -> None:
    (case,) = load(tune(f"{RATE}: [0.1, 1], training.local_epochs: [1, 5]"))
    assert (case.id, case.variant) == ("tiny", "")
    assert list(case.points) == [
        "learning_rate=0.1,local_epochs=1",
        "learning_rate=0.1,local_epochs=5",
        "learning_rate=1,local_epochs=1",
        "learning_rate=1,local_epochs=5",
    ]
    assert rates(case) == [0.1, 0.1, 1, 1]
    assert case.points["learning_rate=1,local_epochs=5"].values == {
        RATE: 1,
        "training.local_epochs": 5,
    }


def test_its_grid_has_pairs_and_exclusions_as_a_matrix_has(
    load: Callable[..., list[Case]],
) -> None:
    pairs = f"'training.local_epochs, {RATE}': [[1, 1], [5, 0.1]], training.batch_size: [10, 20]"
    exclude = f"exclude: [{{{RATE}: 1, training.batch_size: 20}}]"
    (case,) = load(tune(f"{pairs}, {exclude}"))
    assert list(case.points) == [
        "local_epochs=1,learning_rate=1,batch_size=10",
        "local_epochs=5,learning_rate=0.1,batch_size=10",
        "local_epochs=5,learning_rate=0.1,batch_size=20",
    ]


def test_each_variant_of_a_matrix_is_tuned_by_itself(load: Callable[..., list[Case]]) -> None:
    cases = load(tune() + "matrix: {training.algorithm: [fedavg, fedavgm]}\n")
    assert [case.id for case in cases] == ["tiny[algorithm=fedavg]", "tiny[algorithm=fedavgm]"]
    for case in cases:
        assert rates(case) == [0.1, 1]
        kinds = {
            p.scenario.settings()["training"]["algorithm"]["kind"] for p in case.points.values()
        }
        assert kinds == {case.matrix["training.algorithm"]}


@pytest.mark.parametrize(
    "matrix",
    [
        "training.client_optimizer: [sgd, {kind: sgd, momentum: 0.9}]",
        "'training.client_optimizer, training.rounds': [[sgd, 1], [{kind: sgd, momentum: 0.9}, 2]]",
    ],
)
def test_it_tunes_a_key_of_a_choice_that_the_matrix_varies(
    load: Callable[..., list[Case]], matrix: str
) -> None:
    cases = load(tune(f"{RATE}: [0.1, 0.2]") + f"matrix: {{{matrix}}}\n")
    points = [[p.scenario.settings() for p in case.points.values()] for case in cases]
    optimizers = [[s["training"]["client_optimizer"] for s in of] for of in points]
    assert [[o["learning_rate"] for o in of] for of in optimizers] == [[0.1, 0.2]] * 2
    assert [[o["momentum"] for o in of] for of in optimizers] == [[None, None], [0.9, 0.9]]


def test_a_scenario_without_it_has_no_points_and_says_nothing_of_it(
    load: Callable[..., list[Case]],
) -> None:
    (case,) = load(SCENARIO)
    assert not case.points
    assert "tune" not in case.scenario.settings()


def test_it_comes_as_a_whole_from_the_defaults_or_from_the_file(
    load: Callable[..., list[Case]],
) -> None:
    defaults = "tune: {keys: {training.batch_size: [1, 2]}, over_last: 2}\n"
    (case,) = load(SCENARIO, defaults=defaults)
    assert list(case.points) == ["batch_size=1", "batch_size=2"]
    (own,) = load(tune())
    assert own.scenario.tune and own.scenario.tune.over_last is None
    (none,) = load(SCENARIO + "tune: null\n")
    assert not none.points


# Mistakes


NOT_TUNABLE = (
    "cannot be tuned, as it changes what is to be learned; allowed: keys of model and training, "
    "and clients.per_round"
)
TWICE = f"tune.keys: {RATE} is varied by the matrix, too"
ONE = "has one combination: nothing to choose from; set it where it belongs, or add values"
FEW = "got 3; there are 2 rounds (training.rounds)"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (tune(f"{RATE}: [0.1]"), f"tune.keys: {ONE}"),
        (tune("data.test_fraction: [0.1]"), f"tune.keys.data.test_fraction: {NOT_TUNABLE}"),
        (tune("clients.count: [3, 4]"), f"tune.keys.clients.count: {NOT_TUNABLE}"),
        (tune("seeds: [[1], [2]]"), f"tune.keys.seeds: {NOT_TUNABLE}"),
        (tune(""), f"tune.keys: got {{}}; must map keys, such as {RATE}, to lists"),
        (tune(f"{RATE}: 0.1"), f"tune.keys.{RATE}: got 0.1; must be a list of values"),
        (tune(f"{RATE}: [0.1, no]"), f"{RATE}: got 'no'; must be a number"),
        (tune(f"{RATE}: [0.1, 0.1]"), "tune.keys: gives the same variant twice: learning_rate=0.1"),
        (tune(more=", by: tests"), "tune.by: got 'tests'; allowed: validation, test; did you mean"),
        (tune(more=", metric: f1"), "tune.metric: got 'f1'; allowed: accuracy, loss"),
        (tune(more=", by: test, metric: gap"), "tune.metric: got 'gap'; allowed: "),
        (
            tune(more=", by: test, metric: f1, over_last: 2"),
            "tune.over_last: got 2; f1 has no mean over rounds; leave it out",
        ),
        (tune(more=", over_last: 3"), f"tune.over_last: {FEW}"),
        (tune(more=", over: 3"), "tune.over: unknown key; allowed: keys, by, metric, over_last"),
        (tune().replace("keys", "by"), "tune.keys: missing; it has no default"),
        (tune() + f"matrix: {{{RATE}: [1, 2]}}\n", TWICE),
        (
            tune() + "matrix: {training.client_optimizer: [{kind: sgd, learning_rate: 0.1}]}\n",
            TWICE,
        ),
        (tune() + "matrix: {training.client_optimizer: [5]}\n", TWICE),
        (
            tune("training.client_optimizer: [sgd, adam]") + f"matrix: {{{RATE}: [1, 2]}}\n",
            "tune.keys: training.client_optimizer is varied by the matrix, too",
        ),
        (
            SCENARIO + "matrix: {tune.over_last: [1, 2]}\n",
            "matrix.tune.over_last: cannot be varied; allowed: keys of data, clients, model, "
            "training, seeds",
        ),
        (SCENARIO + "tune: 5\n", "tune: got 5; must be a mapping"),
    ],
)
def test_mistakes_are_shown_where_they_are(
    problems: Callable[..., list[str]], text: str, said: str
) -> None:
    shown = problems(text)
    assert any(line.partition(": ")[2].startswith(said) for line in shown), shown
    assert all(line.startswith("f.yaml:") for line in shown)


def test_without_validation_data_it_says_what_to_do(problems: Callable[..., list[str]]) -> None:
    text = tune().replace(", validation_fraction: 0.1", "")
    assert problems(text) == [
        "f.yaml:3: data.validation_fraction: missing; tune chooses by what it holds out (or, with "
        "by: test, by the test set, whose figures are then too good)"
    ]


def test_on_test_data_it_needs_none(load: Callable[..., list[Case]]) -> None:
    (case,) = load(tune(more=", by: test").replace(", validation_fraction: 0.1", ""))
    assert len(case.points) == 2


def test_a_grid_and_a_matrix_together_are_bounded(problems: Callable[..., list[str]]) -> None:
    many = ", ".join(map(str, range(1, 102)))
    matrix = f"matrix: {{training.batch_size: [{many}]}}\n"
    assert problems(tune(f"training.local_epochs: [{many}]") + matrix) == [
        f"f.yaml:{TUNE_LINE}: tune.keys: makes more than 10,000 scenarios, of all variants together"
    ]


def test_a_tuned_variant_is_not_compared_with(problems: Callable[..., list[str]]) -> None:
    text = tune() + "matrix: {training.batch_size: [10, 20]}\n"
    expect = "expect: {gap: {relative_to: '[batch_size=10]', at_most: 1}}\n"
    assert problems(text + expect) == [
        "f.yaml:10: expect.gap.relative_to: got '[batch_size=10]'; a variant that is tuned can be "
        "compared in reports only (pytest-federated compare)"
    ]


@pytest.fixture(scope="module")
def of_schema() -> Draft202012Validator:
    return Draft202012Validator(json_schema())


@pytest.mark.parametrize(
    ("text", "is_valid"),
    [
        (f"{{keys: {{{RATE}: [0.1, 1]}}, by: validation, metric: loss, over_last: 3}}", True),
        ("{keys: {clients.per_round: [1, 2], exclude: [{clients.per_round: 1}]}}", True),
        ("{keys: {'model, training.rounds': [[mlp, 3]]}}", True),
        ("null", True),
        ("{keys: {}}", False),
        ("{keys: {clients.count: [1, 2]}}", False),
        ("{keys: {seeds: [[1], [2]]}}", False),
        (f"{{keys: {{{RATE}: 1}}}}", False),
        (f"{{keys: {{{RATE}: [1]}}, by: tests}}", False),
        (f"{{keys: {{{RATE}: [1]}}, over_last: 0}}", False),
        (f"{{keys: {{{RATE}: [1]}}, over: 0}}", False),
    ],
)
def test_the_json_schema_describes_it(
    of_schema: Draft202012Validator, text: str, is_valid: bool
) -> None:
    document = YAML(typ="safe", pure=True).load(f"tune: {text}")
    assert of_schema.is_valid(document) == is_valid


# What is chosen


def trained(
    accuracies: Sequence[Optional[float]], *, diverged: Optional[str] = None, **more: Any
) -> TrainingHistory:
    """A training with these accuracies on the validation set, and other ones on the test set."""
    test = [None if a is None else 1 - a for a in accuracies]
    return with_validation(history(test, diverged=diverged, **more), accuracies)


def chosen_from(histories: dict[str, list[TrainingHistory]], **how: Any) -> Tuning:
    values = {name: {RATE: float(name)} for name in histories}
    return tuning_of(Tune(keys={RATE: [1, 2]}, **how), values, histories, (3, 4))


def test_the_best_on_the_validation_set_is_chosen_by_its_mean_over_seeds() -> None:
    tuning = chosen_from(
        {
            "0.1": [trained([0.9]), trained([0.3])],
            "1": [trained([0.7]), trained([0.6])],
            "10": [trained([0.5]), trained([0.5])],
        }
    )
    assert tuning.best and tuning.best.values == {RATE: 1}
    assert (tuning.metric, tuning.by, tuning.seeds) == ("validation_accuracy", "validation", (3, 4))
    assert [point.figures for point in tuning.points] == [(0.9, 0.3), (0.7, 0.6), (0.5, 0.5)]
    assert tuning.edges == [] and tuning.ties == [] and tuning.unfit == []


def test_it_may_be_chosen_by_the_last_rounds_the_loss_or_the_test_set() -> None:
    histories = {
        "0.1": [trained([0.1, 0.8])],
        "1": [trained([0.7, 0.7])],
        "10": [trained([0.2, 0.2])],
    }
    assert chosen_from(histories).chosen == 0
    assert chosen_from(histories, over_last=2).chosen == 1
    assert chosen_from(histories, metric="loss").chosen == 0
    by_test = chosen_from(histories, by="test")
    assert (by_test.chosen, by_test.metric) == (2, "accuracy")


def test_where_numbers_are_predicted_the_lowest_loss_is_chosen() -> None:
    def numbers(loss: float) -> TrainingHistory:
        one = trained([1 - loss])
        without = {"accuracy": None, "validation_accuracy": None}
        return one.model_copy(
            update={"rounds": tuple(r.model_copy(update=without) for r in one.rounds)}
        )

    tuning = chosen_from({"1": [numbers(0.5)], "2": [numbers(0.25)], "3": [numbers(0.75)]})
    assert (tuning.metric, tuning.chosen, tuning.sign) == ("validation_loss", 1, -1)


def test_a_point_that_diverged_is_never_chosen_and_says_so() -> None:
    tuning = chosen_from(
        {
            "0.1": [trained([0.2]), trained([0.3])],
            "1": [trained([0.9]), trained([0.9], diverged="diverged in round 1: the loss", seed=4)],
        }
    )
    assert tuning.chosen == 0
    (unfit,) = tuning.unfit
    assert unfit.note == "seed 4 diverged in round 1: the loss"
    assert unfit.figures == (0.9, None)


def test_where_all_diverged_nothing_is_chosen() -> None:
    tuning = chosen_from({"1": [trained([0.9], diverged="diverged")]})
    assert tuning.chosen is None and tuning.best is None
    assert tuning.edges == [] and tuning.ties == []


def test_where_no_training_has_the_metric_that_is_an_error() -> None:
    histories = {"0.1": [history([0.5])], "1": [history([0.6])]}
    with pytest.raises(FederatedError) as error:
        chosen_from(histories)
    assert str(error.value) == (
        "tune: no point can be chosen by validation_accuracy: "
        "0.1: seed 0 no validation set; 1: seed 0 no validation set"
    )


def test_of_several_equally_good_points_the_first_is_chosen_and_the_others_named() -> None:
    same = {name: [trained([0.5])] for name in ("0.1", "1", "10")}
    tuning = chosen_from(same)
    assert tuning.chosen == 0
    assert [point.name for point in tuning.ties] == ["1", "10"]


def grid_of(*values: Any, chosen: int, key: str = "training.rounds") -> Tuning:
    points = tuple(GridPoint(name=str(v), values={key: v}, figures=(0.5,)) for v in values)
    return Tuning(metric="loss", by="test", sign=1, seeds=(0,), points=points, chosen=chosen)


@pytest.mark.parametrize(
    ("values", "chosen", "edges"),
    [
        ((0.1, 1, 10), 1, []),
        ((0.1, 1, 10), 0, ["training.rounds 0.1 is the smallest that was tried (0.1 to 10)"]),
        ((10, 0.1, 1), 0, ["training.rounds 10 is the largest that was tried (0.1 to 10)"]),
        ((0, 0.1, 1), 0, []),  # there is nothing below
        (("fedavg", "fedprox"), 0, []),
        (("all", 1, 2), 2, []),
        ((True, False), 0, []),
        ((1, 1), 0, []),
    ],
)
def test_a_choice_at_the_edge_of_numbers_is_told(
    values: tuple[Any, ...], chosen: int, edges: list[str]
) -> None:
    assert grid_of(*values, chosen=chosen).edges == edges


def test_each_key_has_its_own_edge() -> None:
    grid = [("fedavg", 1), ("fedavg", 2), ("fedprox", 1), ("fedprox", 2)]
    points = tuple(
        GridPoint(name=f"{n}", values={"training.algorithm": a, "training.rounds": n}, figures=())
        for a, n in grid
    )
    chosen = Tuning(metric="loss", by="test", sign=1, seeds=(0,), points=points, chosen=3)
    assert chosen.edges == ["training.rounds 2 is the largest that was tried (1 to 2)"]


MEANS = st.lists(
    st.tuples(st.integers(0, 20).map(lambda n: n / 20), st.booleans()), min_size=1, max_size=8
)


@given(MEANS, st.sampled_from([1, -1]))
def test_no_point_that_could_be_chosen_is_better_than_the_chosen_one(
    means: list[tuple[float, bool]], sign: int
) -> None:
    points = tuple(
        GridPoint(name=str(n), values={}, figures=(mean, mean), note="diverged" if lost else "")
        for n, (mean, lost) in enumerate(means)
    )
    place = best_place(points, sign)
    fit = [mean for mean, lost in means if not lost]
    if not fit:
        assert place is None
        return
    assert place is not None and not points[place].note
    assert sign * means[place][0] == max(sign * mean for mean in fit)
    earlier = [mean for mean, lost in means[:place] if not lost]
    assert means[place][0] not in earlier


# What is run


def tuned_case(load: Callable[..., list[Case]]) -> Case:
    (case,) = load(tune(f"{RATE}: [0.1, 1], training.local_epochs: [1, 5]"))
    return case


@pytest.mark.parametrize(
    ("options", "tried", "seeds"),
    [
        (Options(), (3, 4), (3, 4)),
        (Options(seeds=1), (3,), (3,)),
        (Options(seeds=5), (3, 4), (3, 4, 5, 6, 7)),
    ],
)
def test_all_points_run_on_the_scenarios_own_seeds_and_the_chosen_one_on_all(
    load: Callable[..., list[Case]],
    options: Options,
    tried: tuple[int, ...],
    seeds: tuple[int, ...],
) -> None:
    planned = plan(tuned_case(load), options)
    assert planned.tuning_seeds == tried
    assert planned.seeds == seeds
    assert planned.trainings == 4 * len(tried) + len(seeds) - len(tried)
    positions = [run.position for run in planned.all_runs()]
    assert len(set(positions)) == len(positions)
    chosen = planned.chosen("learning_rate=1,local_epochs=5")
    assert chosen.scenario.training.local_epochs == 5
    assert [run.seed for run in chosen.runs(0)] == list(seeds)
    more = chosen.with_seeds((*seeds, 99))
    assert more.tuning_seeds == tried


def test_rounds_are_cut_of_every_point(load: Callable[..., list[Case]]) -> None:
    planned = plan(tuned_case(load), Options(rounds=1))
    assert {run.rounds for run in planned.all_runs()} == {1}
    assert planned.chosen("learning_rate=1,local_epochs=5").is_cut_short


def test_what_a_tuned_scenario_is_compared_with_has_the_chosen_settings(
    load: Callable[..., list[Case]],
) -> None:
    (case,) = load(tune() + "expect: {gap_to_centralized: {at_most: 1}}\n")
    planned = plan(case, Options())
    assert planned.trainings == 2 * 2 + 2
    (centralized,) = planned.chosen("learning_rate=1").compared.values()
    assert centralized.settings()["training"]["client_optimizer"]["learning_rate"] == 1
    assert centralized.tune is None


class Cluster:
    """Notes what it is asked to train."""

    def __init__(self) -> None:
        self.submitted: list[tuple[int, int]] = []

    def submit(self, scenario: Scenario, seed: int, options: Options) -> None:
        self.submitted.append((scenario.training.local_epochs, seed))

    def history(self, scenario: Scenario, seed: int, options: Options) -> TrainingHistory:
        raise NotImplementedError


def test_a_cluster_begins_with_all_points(load: Callable[..., list[Case]]) -> None:
    (case,) = load(tune("training.local_epochs: [1, 5]"))
    cluster = Cluster()
    options = Options(cluster=cluster, seeds=3)
    submit(plan(case, options), options)
    assert cluster.submitted == [(1, 3), (1, 4), (5, 3), (5, 4)]
    chosen = Cluster()
    options = Options(cluster=chosen, seeds=3)
    submit(plan(case, options).chosen("local_epochs=5"), options)
    assert chosen.submitted == [(5, 3), (5, 4), (5, 5)]


def test_a_scenario_from_python_is_tuned_too() -> None:
    scenario = example_scenario(
        data={"dataset": "digits", "validation_fraction": 0.1},
        tune={"keys": {RATE: [0.1, 1]}},
    )
    planned = plan(Case(scenario), Options())
    assert list(planned.points) == ["learning_rate=0.1", "learning_rate=1"]
    wrong = scenario.model_copy(update={"tune": Tune(keys={RATE: [0.1]})})
    with pytest.raises(ScenarioError, match="nothing to choose from"):
        plan(Case(wrong), Options())


# What is kept


def test_checkpoints_of_points_are_not_left_over(
    load: Callable[..., list[Case]], tmp_path: Path
) -> None:
    (case,) = load(tune())
    assert case.checkpoint_names == ["tiny", "tiny learning_rate=0.1", "tiny learning_rate=1"]
    folder = tmp_path / "cache/d/federated/checkpoints"
    for name in (*case.checkpoint_names, "gone"):
        (folder / file_name(name).removesuffix(".json")).mkdir(parents=True)
    assert leftover_checkpoints(tmp_path / "cache", case.checkpoint_names) == [folder / "gone"]


def tuned_result(chosen: float = 1, **more: Any) -> Any:
    settings = example_scenario(
        data={"dataset": "digits", "validation_fraction": 0.1},
        tune={"keys": {RATE: [0.1, 1]}},
        training={"rounds": 9, "client_optimizer": {"kind": "sgd", "learning_rate": chosen}},
    ).settings()
    points = tuple(
        GridPoint(name=f"learning_rate={v}", values={RATE: v}, figures=(0.5, 0.6)) for v in (0.1, 1)
    )
    tuning = Tuning(
        metric="validation_accuracy",
        by="validation",
        sign=1,
        seeds=(0, 1),
        points=points,
        chosen=(0.1, 1).index(chosen),
    )
    return example_result("a").model_copy(update={"settings": settings, "tuning": tuning, **more})


def test_the_record_has_each_point_and_reads_back() -> None:
    result = tuned_result()
    assert parse_result(json_text(result).encode(), "a") == result
    assert result.trainings == 4
    assert "tuning" not in example_result().model_dump(mode="json")


def test_a_baseline_has_the_grid_and_not_what_was_chosen() -> None:
    one, other = (trained_settings(tuned_result(rate).settings) for rate in (0.1, 1))
    assert one == other
    assert "learning_rate" not in one["training"]["client_optimizer"]
    assert one["tune"]["keys"] == {RATE: [0.1, 1]}


def test_a_tuned_scenario_that_is_skipped_keeps_its_figures(tmp_path: Path) -> None:
    earlier = tuned_result(1)
    write_result(earlier, tmp_path)
    update = {"histories": (), "tuning": None, "status": "skipped"}
    skipped = tuned_result(0.1).model_copy(update=update)
    kept = with_earlier_figures(skipped, tmp_path)
    assert (kept.histories, kept.tuning) == (earlier.histories, earlier.tuning)
    assert kept.settings["training"] == earlier.settings["training"]
    other = {**skipped.settings, "tune": {**skipped.settings["tune"], "by": "test"}}
    assert not with_earlier_figures(
        skipped.model_copy(update={"settings": other}), tmp_path
    ).histories
