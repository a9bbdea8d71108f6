"""The JSON Schema of scenario files; test_fuzzing.py compares it with the loader."""

from __future__ import annotations

import copy
import functools
import json
import os
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from paths import ROOT
from pytest_federated.registry.concepts import concepts
from pytest_federated.scenario.json_schema import json_schema, schema_text
from ruamel.yaml import YAML
from scenario_strategies import FILES, documents_of
from scenario_texts import GOOD


@functools.cache
def validator() -> Draft202012Validator:
    return Draft202012Validator(json_schema())


def is_valid(text: str) -> bool:
    return validator().is_valid(YAML(typ="safe", pure=True).load(text))


@pytest.mark.slow
def test_the_schema_is_valid_itself() -> None:
    Draft202012Validator.check_schema(json_schema())


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_shipped_document_and_every_defaults_file_is_accepted(file: Path) -> None:
    for document in documents_of(file):
        validator().validate(document)


def test_editors_find_the_current_schema_of_every_shipped_document() -> None:
    """After an intended change, run `pytest-federated schema > scenarios/schema.json`.

    An editor's YAML server reads the line in a document for that document only.
    """
    schema = ROOT / "scenarios/schema.json"
    assert schema.read_text(encoding="utf-8") == schema_text()
    assert json.loads(schema_text()) == json_schema()
    for file in FILES:
        line = f"# yaml-language-server: $schema={os.path.relpath(schema, file.parent)}\n"
        for document in file.read_text(encoding="utf-8").split("\n---\n"):
            assert document.startswith(line), file


def test_the_schema_has_the_entries_of_every_concept() -> None:
    defined = json_schema()["$defs"]
    for plural, registry in concepts().items():
        if plural not in ("metrics", "expectations"):  # keys of `expect`
            assert {f"{plural}.{name}" for name in registry.names()} <= defined.keys()


# Documents may be incomplete: a `defaults.yaml` or the matrix completes them.
@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "clients: {split: dirichlet}",
        "clients: {split: {alpha: 1}}",
        "clients: {split: {kind: inner, split: {kind: dirichlet}}}",
        "model: {keras: 'm:f', args: {width: 3}}",
        "model: null",
        "training: {algorithm: kmeans}",
        "clients: {per_round: 0.5}",
        "clients: {shift: [{kind: noise, level: 1}, label_permutation]}",
        "matrix: {clients.split.alpha: [1, 10]}",
        "matrix: {clients.split: [iid, {kind: dirichlet, alpha: 1}], seeds: [[0], [1, 2]]}",
        "matrix: {clients.split: [dirichlet, dirichlet_priors], clients.split.alpha: [1]}",
        "matrix: {model.args.width: [1, wide]}",
        "matrix: {training.client_optimizer.schedule.rate: [0.5]}",
        "matrix: {training.personalize.steps: [1, 2]}",
        "matrix: {'clients.count, seeds': [[3, [0]]], exclude: [{clients.count: 3}]}",
        "training: {algorithm: fedadam, server_optimizer: {learning_rate: 0.5}}",
        "training: {algorithm: scaffold, client_optimizer: {learning_rate: 0.5}}",
        "matrix: {training.server_optimizer: [{learning_rate: 1, schedule: cosine}]}",
        "matrix: {training.client_optimizer: [{learning_rate: 1}], "
        "'seeds, training.client_optimizer.kind': [[[0], sgd]]}",
        "{training: {personalize: {steps: 1}}, data: {dataset: leaf, holdout: global}}",
        # The data set, which may have test examples of each client, is in a defaults.yaml.
        "{training: {personalize: {steps: 1}}, data: {holdout: global}}",
        "{training: {algorithm: local_only, eval_clients_every: 1}, data: {holdout: global}}",
        "{training: {algorithm: scaffold}, clients: {attacks: {kind: label_flip, share: 0.2}}}",
        "{training: {algorithm: fedsgd}, clients: {attacks: {kind: sign_flip, share: 0.2}}}",
        "{training: {algorithm: fedsgd, aggregator: secure}, "
        "clients: {attacks: {kind: sign_flip, share: 0.2}}}",
        "training: {algorithm: fedavg, eval_clients_every: 1}",
        "expect: {accuracy: {at_least: 0.5, at_most: null}}",
        "tags: [größe, a1]",
        # The matrix may supply what keys require of each other.
        "{training: {algorithm: kmeans}, model: mlp, matrix: {training.algorithm: [fedavg]}}",
    ],
)
def test_a_document_may_be_incomplete(text: str) -> None:
    assert is_valid(text)


@pytest.mark.parametrize(
    "text",
    [
        "nmae: a",
        "name: a b",
        "tags: [a-b]",
        "tags: [1a]",
        "tags: [skip]",
        "seeds: []",
        "seeds: [-1]",
        "seeds: [1, 1]",
        "seeds: [9223372036854775808]",
        "clients: {split: dirichlett}",
        "clients: {split: {kind: dirichlet, alpha: 0}}",
        "clients: {split: {kind: iid, alpha: 1}}",
        "clients: {split: {kind: inner, split: {kind: iid, alpha: 1}}}",
        "clients: {per_round: 1.5}",
        "clients: {per_round: 0}",
        "clients: {shift: [noise]}",
        "clients: {shift: [{level: 1}]}",
        "model: {keras: nowhere}",
        "data: {dataset: {kind: celeba, attribute: smilling}}",
        "expect: {acuracy: {at_least: 0.5}}",
        "expect: {accuracy: {}}",
        "expect: {accuracy: {at_least: null}}",
        "expect: {accuracy: {at_least: 1.5}}",
        "expect: {accuracy: {between: [0.1, 0.2], at_least: 0.1}}",
        "expect: {accuracy: {between: [0.1]}}",
        "expect: {accuracy_drop: {at_least: 0.1}}",
        "expect: {rounds_to_accuracy: {at_most: 3}}",
        "matrix: {}",
        "matrix: {clients.count: []}",
        "matrix: {clients.count: 3}",
        "matrix: {clients.count: [0]}",
        "matrix: {clients.coutn: [1]}",
        "matrix: {clients.: [1]}",
        "matrix: {name: [a, b]}",
        "matrix: {exclude: [{clients.count: 3}]}",
        "matrix: {clients.count: [3], exclude: [{}]}",
        "matrix: {clients.count: [3], exclude: {clients.count: 3}}",
        "matrix: {'clients.count, seeds': [[3]]}",
        "matrix: {'clients.count,': [[3, 4]]}",
        "matrix: {clients.split: [dirichlet]}",
        "matrix: {clients.split.alpah: [1]}",
        "matrix: {training.server_optimizer: [{kind: sgd, learning_rate: 1, schedule: step}]}",
        "training: {algorithm: fedsgd, client_optimizer: {schedule: cosine}}",
        "training: {algorithm: centralized, server_optimizer: {schedule: cosine}}",
        # What keys require of each other
        "{training: {algorithm: kmeans}, model: mlp}",
        "{training: {algorithm: {kind: kmeans, clusters: 3}}, clients: {attacks: {kind: boost}}}",
        "{training: {algorithm: fedavg}, model: null}",
        "training: {algorithm: fedsgd, local_epochs: 2}",
        "training: {algorithm: fedsgd, local_steps: 2}",
        "training: {local_steps: 2, local_epochs: 3}",
        "training: {batch_size: every}",
        "{training: {local_steps: 2}, clients: {stragglers: {kind: epochs, share: 0.5}}}",
        "training: {client_optimizer: {kind: sgd, learning_rate: 0.1, clip_norm: 0}}",
        "training: {algorithm: scaffold, client_optimizer: {kind: sgd, momentum: 0.9}}",
        "training: {algorithm: fednova, client_optimizer: {kind: adam, learning_rate: 0.1}}",
        "training: {algorithm: local_only, aggregator: median}",
        "training: {algorithm: fedadam, server_optimizer: {kind: adam, learning_rate: 0.5}}",
        "training: {algorithm: fedavgm, server_optimizer: {momentum: 0.5}}",
        "training: {algorithm: local_only, personalize: {steps: 1}}",
        "{training: {personalize: {steps: 1}}, data: {dataset: digits, holdout: global}}",
        "{training: {algorithm: local_only, eval_clients_every: 1}, "
        "data: {dataset: digits, holdout: global}}",
        "{training: {algorithm: scaffold}, clients: {attacks: {kind: alie, share: 0.2}}}",
        "{training: {algorithm: fedsgd, execution: standard}, clients: {attacks: sign_flip}}",
        "clients: {split: natural, size: linear}",
        "clients: {sampling: {kind: fixed, cohorts: [[0]]}, per_round: 3}",
        "clients: {sampling: {kind: fixed, cohorts: [[0]]}, unseen: 0.5}",
        "clients: {dropout: {rates: [0.1]}, unseen: 0.5}",
        "data: {dataset: emnist, holdout: global, test_fraction: 0.3}",
        "data: {dataset: {npz: a.npz, test: b.npz}, holdout: global, test_fraction: 0.3}",
        "training: {aggregator: median, algorithm: {kind: fedavg, weighting: examples}}",
        "training: {aggregator: {kind: dp, noise_multiplier: 1}, algorithm: scaffold}",
        "{training: {aggregator: dp}, clients: {sampling: with_replacement}}",
        "{training: {aggregator: dp}, clients: {sampling: {kind: by_size, replacement: true}}}",
        "{training: {aggregator: mean}, expect: {epsilon: {at_most: 8}}}",
    ],
)
def test_what_the_loader_refuses_is_refused(text: str) -> None:
    assert not is_valid(text)


def test_a_whole_document_is_accepted_and_each_unknown_key_in_it_refused() -> None:
    document: dict[str, Any] = YAML(typ="safe", pure=True).load(GOOD)
    validator().validate(document)
    for section in ("data", "clients", "training"):
        changed = copy.deepcopy(document)
        changed[section]["unknown"] = 1
        assert not validator().is_valid(changed)
