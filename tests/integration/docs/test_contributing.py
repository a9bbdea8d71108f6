"""The examples in CONTRIBUTING.md are entries that can be registered, chosen and trained with."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest
from paths import ROOT
from pytest_federated import run
from pytest_federated.registry.concepts import concepts
from pytest_federated.scenario.schema import Scenario
from ruamel.yaml import YAML

PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


class Example(NamedTuple):
    file: str  # where it would be
    code: str
    keys: dict[str, Any]  # the keys of a scenario file that choose it


EXAMPLES = [
    Example(file, code, YAML(typ="safe").load(keys))
    for file, code, keys in re.findall(
        r"^```python\n# (\S+)\n(.*?)^```\n\n```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL
    )
]


def merged(one: Any, other: Any) -> Any:
    """Merges the keys of both by section; if both choose an entry, `other` wins."""
    if not isinstance(one, dict) or not isinstance(other, dict) or "kind" in other:
        return other
    return {**one, **{k: merged(one[k], v) if k in one else v for k, v in other.items()}}


def scenario(*keys: dict[str, Any]) -> Scenario:
    chosen: dict[str, Any] = {
        "name": "examples",
        "data": {"dataset": "digits"},
        "clients": {"count": 4, "split": "iid"},
        "model": {"kind": "mlp", "hidden": [8]},
        "training": {"rounds": 2},
    }
    for more in keys:
        chosen = merged(chosen, more)
    return Scenario.model_validate(chosen)


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, set[str]]]:
    """Imports all examples as modules; returns the new entries of each concept."""
    before = {concept: set(registry.names()) for concept, registry in concepts().items()}
    for registry in concepts().values():
        monkeypatch.setattr(registry, "_entries", registry.entries())
    for example in EXAMPLES:
        module = ModuleType(Path(example.file).stem)
        module.__file__ = str(ROOT / example.file)
        monkeypatch.setitem(sys.modules, module.__name__, module)
        exec(compile(example.code, module.__file__, "exec"), module.__dict__)
    new = {c: set(registry.names()) - before[c] for c, registry in concepts().items()}
    new["expectations"] -= new["metrics"]  # every metric is also an expectation
    yield new


def test_every_concept_has_an_example(registered: dict[str, set[str]]) -> None:
    assert {concept for concept, new in registered.items() if len(new) != 1} == set()
    assert PAGE.count("```python\n") == len(EXAMPLES) == len(registered)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: Path(e.file).stem)
def test_an_example_can_be_chosen(registered: dict[str, set[str]], example: Example) -> None:
    name = Path(example.file).stem
    (concept,) = [concept for concept, new in registered.items() if name in new]
    assert concepts()[concept][name].summary
    assert (ROOT / example.file).parent.is_dir()
    assert not (ROOT / example.file).exists()
    assert f"'{name}'" in str(scenario(example.keys).settings())


def test_the_examples_train(worker: None, registered: dict[str, set[str]]) -> None:
    """In two runs, as a scenario has one algorithm."""
    # The split allows no size, and attackers who send zeros need the weighted mean.
    names = {"in_turn", "plain_mean", "damped"}
    one = [e.keys for e in EXAMPLES if Path(e.file).stem not in names]
    other = [e.keys for e in EXAMPLES if Path(e.file).stem in names]
    for keys in (one, other):
        result = run(scenario(*keys))
        (history,) = result.histories
        assert len(history.rounds) == 2
        assert all(r.loss is not None for r in history.evaluated)
        assert all(verdict.passed for verdict in result.verdicts)
