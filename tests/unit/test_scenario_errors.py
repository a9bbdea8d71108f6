"""Messages about a wrong key or value: where it is, what is wrong, and what is allowed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from paths import ROOT
from pytest_federated.data.datasets.dataset import datasets
from pytest_federated.data.splits.partition import splits
from pytest_federated.expectations.expectation import expectations
from pytest_federated.training.algorithms.algorithm import algorithms
from pytest_federated.training.models.losses import LOSS_NAMES
from pytest_federated.training.models.model import models
from pytest_federated.training.optimizers.optimizer import optimizers
from scenario_texts import CLIENT_KEYS, GOOD, clients, training

DATA_SETS = ", ".join(datasets.names())
TOP_LEVEL_KEYS = (
    "schema, name, description, tags, data, clients, model, training, seeds, matrix, tune, "
    "expect, baseline, comparison"
)
TRAINING_KEYS = (
    "algorithm, aggregator, rounds, local_epochs, local_steps, batch_size, client_optimizer, "
    "server_optimizer, loss, class_weights, eval_every, eval_clients_every, execution, personalize"
)
SPLITS = ", ".join(splits.names())
LOSSES = ", ".join(LOSS_NAMES)
WITH_SIZES = ", ".join(name for name in splits.names() if splits[name].spec.sizes)


def split(keys: str) -> str:
    return clients(f"split: {{{keys}}}")


def data(value: str) -> str:
    return GOOD.replace("dataset: digits", value)


def model(value: str) -> str:
    return GOOD.replace("mlp", value)


def short(value: object) -> str:
    """A test's ID: the message without what is allowed."""
    return "file" if "\n" in str(value) else str(value).partition(";")[0]


def test_the_scenario_that_the_tests_break_is_valid(problems: Callable[..., list[str]]) -> None:
    assert problems(GOOD) == []


def test_the_readme_shows_what_is_said(problems: Callable[..., list[str]]) -> None:
    wrong = "clients:\n  splitt: iid\n  count: 0"
    said = problems("# Line 1.\n" + GOOD.replace("clients: {count: 4}", wrong))
    assert len(said) == 2
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "\n".join(said).replace("f.yaml", "scenarios/mine.yaml") in readme


# Keys


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(
            clients("splitt: iid"),
            f"f.yaml:4: clients.splitt: unknown key; allowed: {CLIENT_KEYS}; did you mean 'split'?",
            id="in a section",
        ),
        pytest.param(
            clients("zzz: iid"),
            f"f.yaml:4: clients.zzz: unknown key; allowed: {CLIENT_KEYS}",
            id="like none",
        ),
        pytest.param(
            training("batch: 4"),
            f"f.yaml:6: training.batch: unknown key; allowed: {TRAINING_KEYS}; "
            "did you mean 'batch_size'?",
            id="in training",
        ),
        pytest.param(
            GOOD + "sedes: [3]\n",
            f"f.yaml:7: sedes: unknown key; allowed: {TOP_LEVEL_KEYS}; did you mean 'seeds'?",
            id="at the top",
        ),
        pytest.param(
            GOOD + "matrx: {clients.count: [1, 2]}\n",
            f"f.yaml:7: matrx: unknown key; allowed: {TOP_LEVEL_KEYS}; did you mean 'matrix'?",
            id="matrix misspelled",
        ),
        pytest.param(
            model("{keras: 'm:f', hidden: [3]}"),
            "f.yaml:5: model.hidden: unknown key; allowed: initial_weights, kind, keras, args, "
            "outputs",
            id="of another model",
        ),
        pytest.param(
            GOOD + "expect: {acuracy: {at_least: 0.3}}\n",
            f"f.yaml:7: expect.acuracy: unknown key; allowed: {', '.join(expectations.names())}; "
            "did you mean 'accuracy'?",
            id="an expectation",
        ),
    ],
)
def test_unknown_keys_are_named(problems: Callable[..., list[str]], text: str, said: str) -> None:
    assert problems(text) == [said]


def test_a_misspelled_required_key_is_two_problems(
    problems: Callable[..., list[str]],
) -> None:
    unknown, missing = problems(split("kind: dirichlet, alfa: 3"))
    assert unknown.startswith("f.yaml:4: clients.split.alfa: unknown key; allowed: ")
    assert unknown.endswith("; did you mean 'alpha'?")
    assert missing == "f.yaml:4: clients.split.alpha: missing; it has no default"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(
            "schema: 1\nname: a\n",
            [
                "f.yaml:1: clients: missing; it has no default",
                "f.yaml:1: data: missing; it has no default",
                "f.yaml:1: model: missing; it has no default",
                "f.yaml:1: training: missing; it has no default",
            ],
            id="sections",
        ),
        pytest.param(
            GOOD.replace("name: tiny\n", ""),
            ["f.yaml:1: name: missing; it has no default"],
            id="name",
        ),
        pytest.param(
            "\n# A comment.\n" + GOOD.replace("schema: 1\n", ""),
            ["f.yaml:3: schema: missing; the first line should be 'schema: 1'"],
            id="schema",
        ),
        pytest.param(
            GOOD.replace("rounds: 2", "batch_size: 3"),
            ["f.yaml:6: training.rounds: missing; it has no default"],
            id="rounds",
        ),
        pytest.param(
            split("kind: dirichlet"),
            ["f.yaml:4: clients.split.alpha: missing; it has no default"],
            id="alpha",
        ),
        pytest.param(
            clients("split: dirichlet"),
            ["f.yaml:4: clients.split.alpha: missing; it has no default"],
            id="alpha of the short form",
        ),
        pytest.param(
            training("client_optimizer: sgd"),
            ["f.yaml:6: training.client_optimizer.learning_rate: missing; it has no default"],
            id="learning rate of the short form",
        ),
        pytest.param(
            model("keras"),
            ["f.yaml:5: model.keras: missing; it has no default"],
            id="function of the short form",
        ),
        pytest.param(
            GOOD.replace("count: 4", "per_round: 2"),
            ["f.yaml:4: clients.count: missing; the iid split needs it"],
            id="count",
        ),
        pytest.param(
            GOOD + "expect: {rounds_to_accuracy: {target: 0.5}}\n",
            ["f.yaml:7: expect.rounds_to_accuracy.at_most: missing; needs at_most or between"],
            id="threshold",
        ),
    ],
)
def test_missing_keys_are_named(
    problems: Callable[..., list[str]], text: str, said: list[str]
) -> None:
    assert problems(text) == said


@pytest.mark.parametrize("name", ["accuracy", "loss", "rounds_to_accuracy"])
def test_an_expectation_without_keys_is_named(
    problems: Callable[..., list[str]], name: str
) -> None:
    (said,) = problems(GOOD + f"expect:\n  {name}:\n")
    assert said.startswith(f"f.yaml:8: expect.{name}: ")


# Values


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GOOD.replace("count: 4", "count: 0"), "clients.count: got 0; must be at least 1"),
        (GOOD.replace("count: 4", "count: four"), "clients.count: got 'four'; must be an integer"),
        (GOOD.replace("count: 4", "count: 4.5"), "clients.count: got 4.5; must be an integer"),
        (clients("per_round: 5"), "clients.per_round: got 5; there are 4 clients (clients.count)"),
        (clients("per_round: 1.5"), "clients.per_round: got 1.5; a share is at most 1.0"),
        (clients("per_round: .inf"), "clients.per_round: got inf; a share is at most 1.0"),
        (clients("per_round: 0"), "clients.per_round: got 0; must be greater than 0"),
        (clients("per_round: -0.5"), "clients.per_round: got -0.5; must be greater than 0"),
        (clients("per_round: .nan"), "clients.per_round: got nan; must be greater than 0"),
        (clients("per_round: all"), "clients.per_round: got 'all'; must be an integer or a number"),
        *(
            pytest.param(
                clients(f"per_round: {value}"),
                f"clients.per_round: got {value}; must be an integer or a number",
            )
            for value in ("[1]", "{'a': 1}")
        ),
        *(
            (
                split(f"kind: dirichlet, alpha: {alpha}"),
                f"clients.split.alpha: got {shown}; must be {must}",
            )
            for alpha, shown, must in [
                ("0", "0", "greater than 0"),
                ("-1", "-1", "greater than 0"),
                (".inf", "inf", "a finite number"),
                ("-.inf", "-inf", "a finite number"),
                (".nan", "nan", "a finite number"),
                ("'0.5'", "'0.5'", "a number"),
                ("[1]", "[1]", "a number"),
                ("1e-400", "0.0", "greater than 0"),
            ]
        ),
        (
            split("kind: shards, shards_per_client: 0"),
            "clients.split.shards_per_client: got 0; must be at least 1",
        ),
        (
            split("kind: iid, min_examples: 0"),
            "clients.split.min_examples: got 0; must be at least 1",
        ),
    ],
    ids=short,
)
def test_invalid_values_for_clients_are_named(
    problems: Callable[..., list[str]], text: str, said: str
) -> None:
    assert problems(text) == [f"f.yaml:4: {said}"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            data("dataset: digit"),
            f"3: data.dataset: got 'digit'; no such data set; allowed: {DATA_SETS}; "
            "did you mean 'digits'?",
        ),
        (
            data("dataset: {kind: sonnets}"),
            f"3: data.dataset: got 'sonnets'; no such data set; allowed: {DATA_SETS}",
        ),
        (
            data("dataset: [digits]"),
            "3: data.dataset: got ['digits']; must be a name, or a mapping with 'kind'",
        ),
        (
            clients("split: dirichelt"),
            f"4: clients.split: got 'dirichelt'; no such split; allowed: {SPLITS}; "
            "did you mean 'dirichlet'?",
        ),
        (
            split("kind: dirichelt, alpha: 1"),
            f"4: clients.split.kind: got 'dirichelt'; no such split; allowed: {SPLITS}; "
            "did you mean 'dirichlet'?",
        ),
        (
            clients("split: IID"),
            f"4: clients.split: got 'IID'; no such split; allowed: {SPLITS}; did you mean 'iid'?",
        ),
        (
            split("alpha: 1"),
            f"4: clients.split: got {{'alpha': 1}}; needs the key 'kind'; allowed: {SPLITS}",
        ),
        (
            model('{keras: "m:f", functional: "m:g"}'),
            "5: model: got both keras and functional, each a model of its own; give one of them",
        ),
        *(
            (
                clients(f"attacks: {{kind: label_flip, share: 0.1}}{more}"),
                f"4: clients.attacks.share: got 0.1; of {left} clients that is no attacker, so the "
                f"attack would have no effect; allowed: more than {least}, or 0 for none",
            )
            for more, left, least in (("", 4, "0.125"), (", unseen: 0.5", 2, "0.25"))
        ),
        *(
            (
                clients(f"stragglers: {{kind: epochs, share: 0.1}}{more}"),
                f"4: clients.stragglers.share: got 0.1; of {cohort} that is nobody, so no client "
                f"would straggle; allowed: more than {least}",
            )
            for more, cohort, least in (
                ("", "4 clients", "0.125"),
                (", unseen: 0.5", "2 clients", "0.25"),
                (", per_round: 1", "the one client", "0.5"),
            )
        ),
        pytest.param(
            split("kind: [iid]"),
            f"4: clients.split: got ['iid']; no such split; allowed: {SPLITS}",
        ),
        (
            model("mpl"),
            f"5: model: got 'mpl'; no such model; allowed: {', '.join(models.names())}; "
            "did you mean 'mlp'?",
        ),
        (
            training("algorithm: FedAvgg"),
            "6: training.algorithm: got 'FedAvgg'; no such algorithm; allowed: "
            f"{', '.join(algorithms.names())}; did you mean 'fedavg'?",
        ),
        (
            training("algorithm: {kind: fedavg, weighting: example}"),
            "6: training.algorithm.weighting: got 'example'; allowed: examples, examples_held, "
            "uniform, num_batches, loss; did you mean 'examples'?",
        ),
        (
            training("server_optimizer: {kind: sdg, learning_rate: 1}"),
            "6: training.server_optimizer.kind: got 'sdg'; no such optimizer; allowed: "
            f"{', '.join(optimizers.names())}; did you mean 'sgd'?",
        ),
        (
            model("{kind: mlp, outputs: probs}"),
            "5: model.outputs: got 'probs'; allowed: logits, probabilities",
        ),
        (
            model("{kind: tutorial, outputs: logits}"),
            "5: model.outputs: got 'logits'; allowed: probabilities",
        ),
    ],
    ids=short,
)
def test_unknown_choices_are_named(
    problems: Callable[..., list[str]], text: str, said: str
) -> None:
    assert problems(text) == [f"f.yaml:{said}"]


@pytest.mark.parametrize(
    "keras", ["my_models", "my_models.build", "my models:build", "m:f()", "m:a.b", ":f", "m:"]
)
def test_a_keras_model_must_be_module_and_function(
    problems: Callable[..., list[str]], keras: str
) -> None:
    assert problems(model(f"{{keras: '{keras}'}}")) == [
        f"f.yaml:5: model.keras: got '{keras}'; must be \"module:function\", such as "
        '"my_pkg.models:build"'
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (model("{kind: mlp, hidden: 128}"), "5: model.hidden: got 128; must be a list"),
        (model("{kind: mlp, hidden: [0]}"), "5: model.hidden.0: got 0; must be at least 1"),
        (
            GOOD.replace("{rounds: 2}", "{rounds: two}"),
            "6: training.rounds: got 'two'; must be an integer",
        ),
        (GOOD.replace("{rounds: 2}", "[2]"), "6: training: got [2]; must be a mapping"),
        (GOOD.replace("{dataset: digits}", "digits"), "3: data: got 'digits'; must be a mapping"),
        (
            training("client_optimizer: {kind: sgd, learning_rate: 0}"),
            "6: training.client_optimizer.learning_rate: got 0; must be greater than 0",
        ),
        (
            training("client_optimizer: {kind: sgd, learning_rate: 1, momentum: 1}"),
            "6: training.client_optimizer.momentum: got 1; must be less than 1",
        ),
        (
            training("loss: hubber"),
            f"6: training.loss: got 'hubber'; allowed: {LOSSES}, or your own, "
            "\"module:function\"; did you mean 'huber'?",
        ),
        (training("loss: 3"), "6: training.loss: got 3; must be text"),
        (
            training("loss: 'my losses:f'"),
            "6: training.loss: got 'my losses:f'; must be \"module:function\", such as "
            '"my_pkg.models:build"',
        ),
        (
            training("loss: 'os:system'"),
            "6: training.loss: got 'os:system', which is a part of Python; name a function of your "
            "own, or of an installed package",
        ),
        (
            training("loss: hinge").replace("digits", "diabetes"),
            "6: training.loss: got 'hinge'; not for data with the task regression; allowed: "
            "mean_squared_error, mse, mean_absolute_error, mae, huber, log_cosh, logcosh, "
            "mean_absolute_percentage_error, mape, mean_squared_logarithmic_error, msle, poisson, "
            'or your own, "module:function"',
        ),
        (
            training("loss: huber").replace("mlp", "{functional: 'm:f'}"),
            "6: training.loss: got 'huber'; a model of the kind functional has its own loss; leave "
            "it out",
        ),
        (
            training("loss: huber, algorithm: {kind: kmeans, clusters: 3}").replace(
                "model: mlp", "model: null"
            ),
            "6: training.loss: got 'huber'; kmeans has no use for it, as its loss is the squared "
            "distance to the nearest centroid; leave it out, or say null where a defaults.yaml has "
            "it",
        ),
        (
            data("dataset: {csv: a.csv, label: y, features: {vitals: pulse}}"),
            "3: data.dataset.features.vitals: got 'pulse'; must be a list",
        ),
        (
            data("dataset: {csv: a.csv, label: y, features: {vitals: []}}"),
            "3: data.dataset.features.vitals: got []; must have at least 1 item(s)",
        ),
        (
            data("dataset: {csv: a.csv, label: y, features: 3}"),
            "3: data.dataset.features: got 3; must be a list or a mapping",
        ),
        (
            training("eval_clients_every: 0"),
            "6: training.eval_clients_every: got 0; must be at least 1",
        ),
        (
            training("eval_clients_every: 2, algorithm: {kind: kmeans, clusters: 3}").replace(
                "model: mlp", "model: null"
            ),
            "6: training.eval_clients_every: got 2; kmeans has no use for it, as its clusters are "
            "judged on the test set only; leave it out, or say null where a defaults.yaml has it",
        ),
        (
            training("eval_clients_every: 2, algorithm: local_only"),
            "6: training.eval_clients_every: got 2; with local_only, each client's own model is "
            "judged on examples of its own; needs data.holdout: per_client",
        ),
        (
            training("class_weights: balance"),
            "6: training.class_weights: got 'balance'; must be balanced, or a mapping from labels "
            "to weights",
        ),
        (
            training("class_weights: {}"),
            "6: training.class_weights: got {}; must be balanced, or a mapping from labels to "
            "weights",
        ),
        *(
            (
                training(f"class_weights: {{3: {weight}}}"),
                f"6: training.class_weights.3: got {shown}; a weight must be a finite number of at "
                "least 0",
            )
            for weight, shown in [("-1", "-1"), (".nan", "nan"), (".inf", "inf"), ("x", "'x'")]
        ),
        (
            training("class_weights: balanced").replace("digits", "diabetes"),
            "6: training.class_weights: got 'balanced'; weights are for examples of one label "
            "(label, binary); the data has the task regression",
        ),
        (
            data("dataset: digits, test_fraction: 1"),
            "3: data.test_fraction: got 1; must be less than 1",
        ),
        (
            data("dataset: digits, test_fraction: 20%"),
            "3: data.test_fraction: got '20%'; must be a number",
        ),
        pytest.param(
            data("dataset: emnist, test_fraction: 0.2"),
            "3: data.test_fraction: got 0.2; emnist has a test set of its own; leave it out",
        ),
        (
            data("dataset: digits, validation_fraction: 0.8"),
            "3: data.validation_fraction: got 0.8; with the test fraction of 0.2 nothing is left "
            "to train on",
        ),
        (
            data("dataset: digits, holdout: per_cleint"),
            "3: data.holdout: got 'per_cleint'; allowed: global, per_client; "
            "did you mean 'per_client'?",
        ),
        (
            clients("split: semantic, size: linear"),
            "4: clients.size: got linear; the semantic split has sizes of its own; allowed with: "
            f"{WITH_SIZES}",
        ),
        (
            clients("size: {kind: explicit, examples: [1, 2]}"),
            "4: clients.size: got 2 under examples; there are 4 clients (clients.count)",
        ),
        (
            clients("split: {kind: distribution, matrix: [[1, 2], [3, 4]]}"),
            "4: clients.split: got 2 under matrix; there are 4 clients (clients.count)",
        ),
        (
            clients("split: {kind: distribution, matrix: [[1, 2], [3, -4]]}"),
            "4: clients.split.matrix.1.1: got -4; must be at least 0",
        ),
        (
            clients("split: {kind: inner, split: {kind: shards, shards_client: 2}}"),
            "4: clients.split.split.shards_client: unknown key; allowed: min_examples, kind, "
            "shards_per_client; did you mean 'shards_per_client'?",
        ),
        (
            clients("sampling: {kind: fixed, cohorts: [[0, 4]]}"),
            "4: clients.sampling: got client 4 under cohorts; there are clients 0 to 3 "
            "(clients.count)",
        ),
        (
            clients("per_round: 2, sampling: {kind: fixed, cohorts: [[0]]}"),
            "4: clients.per_round: got 2; the fixed sampling does not read it; leave it out",
        ),
        (
            clients("dropout: {rates: [0.1]}"),
            "4: clients.dropout: got 1 under rates; there are 4 clients (clients.count)",
        ),
        (
            clients("stragglers: {kind: epoch, share: 0.1}"),
            "4: clients.stragglers.kind: got 'epoch'; no such kind of straggler; allowed: epochs, "
            "steps; did you mean 'epochs'?",
        ),
        (
            clients("attacks: {kind: boost, factor: 3.0}"),
            "4: clients.attacks.share: missing; it has no default",
        ),
        (
            training("aggregator: {kind: dp, noise_multiplier: 1}").replace(
                "count: 4", "count: 4, sampling: by_size"
            ),
            "6: training.aggregator: got dp; with by_size sampling a client may come several times "
            "in a round, and no noise is enough; allowed with: cyclic, fixed, poisson, trace, "
            "uniform",
        ),
        *(
            (
                training(f"algorithm: {algorithm}").replace("count: 4", f"count: 4, {sampling}"),
                f"4: clients.sampling: got {sampling.split()[-1]}; it may draw a client twice in a "
                f"round, of which {algorithm} keeps {kept}; allowed: by_size with replacement: "
                "false, cyclic, fixed, poisson, trace, uniform",
            )
            for algorithm, kept in [("scaffold", "a control variate"), ("local_only", "a model")]
            for sampling in ("sampling: by_size", "sampling: with_replacement")
        ),
        (
            training("local_steps: 5, local_epochs: 2"),
            "6: training.local_steps: got 5, and local_epochs 2; give one of the two "
            "(local_epochs: 1 where a defaults.yaml has more)",
        ),
        (
            training("local_steps: 5").replace(
                "count: 4", "count: 4, stragglers: {kind: epochs, share: 0.5}"
            ),
            "4: clients.stragglers: got epochs, which does some of the local epochs; there are "
            "none with training.local_steps; allowed: steps",
        ),
        (
            training("algorithm: scaffold, client_optimizer: {kind: adam, learning_rate: 0.1}"),
            "6: training.client_optimizer: got adam; scaffold is made for plain SGD; allowed: "
            "{kind: sgd, learning_rate: ...}, without momentum",
        ),
        (
            training("algorithm: centralized, aggregator: median"),
            "6: training.aggregator: got median; centralized aggregates in its own way: leave it "
            "out",
        ),
        (
            training("algorithm: {kind: fedavg, weighting: loss}, aggregator: median"),
            "6: training.aggregator: got median; it counts every client the same: leave the "
            "algorithm's weighting (loss) out, or say uniform",
        ),
        *(
            (
                training(f"batch_size: {wrong}"),
                f"6: training.batch_size: got {said}; must be an integer, at least 1, a share of "
                "a client's examples, or all",
            )
            for wrong, said in (("0", "0"), ("-3", "-3"), ("al", "'al'"), ("true", "true"))
        ),
        (
            training("batch_size: 1.5"),
            "6: training.batch_size: got 1.5; a share of a client's examples is at most 1.0",
        ),
        (clients("shift: noise"), "4: clients.shift: got 'noise'; must be a list"),
        (
            clients("shift: [rotatoin]"),
            "4: clients.shift.0: got 'rotatoin'; no such shift; allowed: contrast, label_noise, "
            "label_permutation, noise, rotation; did you mean 'rotation'?",
        ),
        (
            clients("shift: [rotation, {kind: noise, level: 1, size: 2}]"),
            "4: clients.shift.1.size: unknown key; allowed: kind, level, as_published",
        ),
        (
            clients("shift: [{kind: label_noise, rate: 2}]"),
            "4: clients.shift.0.rate: got 2; must be at most 1",
        ),
        (GOOD + "expect: {accuracy: 0.9}\n", "7: expect.accuracy: got 0.9; must be a mapping"),
        (GOOD + "expect: [accuracy]\n", "7: expect: got ['accuracy']; must be a mapping"),
        (
            GOOD + "expect: {accuracy: {at_least: 90}}\n",
            "7: expect.accuracy.at_least: got 90; must be at most 1",
        ),
        (
            GOOD + "expect: {loss: {at_most: .inf}}\n",
            "7: expect.loss.at_most: got inf; must be a finite number",
        ),
        (GOOD.replace("schema: 1", "schema: 2"), "1: schema: got 2; must be at most 1"),
        (GOOD.replace("schema: 1", "schema: '1'"), "1: schema: got '1'; must be an integer"),
    ],
    ids=short,
)
def test_invalid_values_are_named(problems: Callable[..., list[str]], text: str, said: str) -> None:
    assert problems(text) == [f"f.yaml:{said}"]


@pytest.mark.parametrize("name", ["a b", "a/b", "-a", "", "é", "a[b]", "../a", "a:b"])
def test_invalid_names_are_refused(problems: Callable[..., list[str]], name: str) -> None:
    assert problems(GOOD.replace("tiny", f"'{name}'")) == [
        f"f.yaml:2: name: got '{name}'; allowed: letters, digits, '-', '_' and '.', as it names "
        "files"
    ]


@pytest.mark.parametrize("tags", ["['a-b']", "['']", "['slow', 'a b']", "['1st']"])
def test_invalid_tags_are_refused(problems: Callable[..., list[str]], tags: str) -> None:
    assert problems(GOOD + f"tags: {tags}\n") == [
        f"f.yaml:7: tags: got {tags}; allowed: letters, digits and '_', as tags become pytest "
        "markers"
    ]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("smoke", "tags: got 'smoke'; must be a list"),
        ("[1]", "tags.0: got 1; must be text"),
    ],
)
def test_tags_of_another_type_are_refused(
    problems: Callable[..., list[str]], value: str, said: str
) -> None:
    assert problems(GOOD + f"tags: {value}\n") == [f"f.yaml:7: {said}"]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("[0, 0]", "seeds: got [0, 0]; the same seed twice is the same training twice"),
        ("[1, -1]", "seeds: got [1, -1]; seeds are 0 or greater"),
        ("[]", "seeds: got []; must have at least 1 item(s)"),
        ("3", "seeds: got 3; must be a list"),
        pytest.param(
            "[a]",
            "seeds.0: got 'a'; must be an integer",
        ),
        pytest.param(
            "[1.5]",
            "seeds.0: got 1.5; must be an integer",
        ),
    ],
)
def test_invalid_seeds_are_refused(
    problems: Callable[..., list[str]], value: str, said: str
) -> None:
    assert problems(GOOD + f"seeds: {value}\n") == [f"f.yaml:7: {said}"]
