"""The roles of Shakespeare's plays: the committed file, its examples, the script that wrote it."""

from __future__ import annotations

import json
import lzma
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from paths import ROOT
from pydantic import ValidationError
from pytest_federated.clients.schema import Clients
from pytest_federated.data.datasets.bundled.shakespeare_roles import ALPHABET, FILE
from pytest_federated.data.datasets.dataset import Cache, Dataset, Examples, datasets
from pytest_federated.data.federation import federate
from pytest_federated.data.schema import Data


def dataset(**keys: int) -> Dataset:
    return datasets["shakespeare_roles"].function(Cache(Path("unused")), **keys)


@pytest.fixture(scope="module")
def committed() -> dict[str, Any]:
    return json.loads(lzma.decompress(FILE.read_bytes()))


def text(ids: np.ndarray) -> str:
    return "".join(ALPHABET[i] for i in ids)


def whole(examples: Examples, length: int) -> str:
    """Returns the text that examples at every character are cut from."""
    rows = examples.take(np.arange(len(examples)))
    for row, label, after in zip(rows.x, rows.y, rows.x[1:]):
        np.testing.assert_array_equal([*row[1:], label], after)
    assert rows.x.shape[1] == length
    return text(rows.x[0]) + text(rows.y)


def test_the_committed_file_has_its_roles_and_license(committed: dict[str, Any]) -> None:
    assert FILE.stat().st_size < 300_000
    assert "creativecommons.org/licenses/by/2.5" in committed["license"]
    assert "Open Knowledge Foundation" in committed["source"]
    assert committed["changes"] and committed["title"]
    roles = committed["roles"]
    assert len(roles) == 146
    assert len({role["play"] for role in roles}) == 8
    assert len({(role["play"], role["role"]) for role in roles}) == 146
    for role in roles:
        said = "\n".join(role["speeches"])
        assert len(role["speeches"]) >= 2 and len(said) >= 500
        assert set(said) <= set(ALPHABET)
        assert "  " not in said and "\n\n" not in said
    famous = {(r["play"], r["role"]): "\n".join(r["speeches"]) for r in roles}
    assert "If music be the food of love, play on" in famous["twelfth_night", "DUKE"]
    assert "Et tu, Brute?" in famous["julius_caesar", "CAESAR"]
    assert "The quality of mercy is not strain'd" in famous["merchant_of_venice", "PORTIA"]


def test_the_documented_facts_are_those_of_the_data(committed: dict[str, Any]) -> None:
    found, facts = dataset(), datasets["shakespeare_roles"].spec.facts
    loaded = found.load(None)
    assert loaded.test is not None and loaded.natural is not None
    assert facts.examples == f"{len(loaded.train):,} + {len(loaded.test):,} for testing"
    assert facts.labels == f"{found.num_classes} characters"
    assert facts.natural == f"{len(found.natural)} speaking roles"
    assert found.natural[0] == "as-you-like-it/orlando"
    assert len(set(found.natural)) == len(committed["roles"]) == 146
    assert found.num_classes == len(ALPHABET) == 63
    for examples in (loaded.train, loaded.test):
        assert (examples.x.shape, examples.x.dtype) == ((len(examples), 80), np.int32)
        assert (examples.y.shape, examples.y.dtype) == ((len(examples),), np.int32)
        x = examples.x[:]
        assert x.dtype == np.int32
        assert min(x.min(), examples.y.min()) >= 0
        assert max(x.max(), examples.y.max()) < 63
    assert set(loaded.natural.tolist()) == set(range(146))


def test_no_text_is_lost_and_no_example_is_both_training_and_test(
    committed: dict[str, Any],
) -> None:
    role = next(r for r in committed["roles"] if r["role"] == "FIRST WITCH")
    said = "\n".join(role["speeches"])
    loaded = dataset(length=7, step=1).load(["macbeth/first-witch"])
    assert loaded.test is not None and loaded.natural is not None
    train, test = whole(loaded.train, 7), whole(loaded.test, 7)
    assert train + test == said
    assert len(test) == pytest.approx(len(said) / 5, abs=1)
    assert (loaded.natural == 0).all()


def test_chosen_roles_are_read_in_their_order() -> None:
    chosen = ["othello/iago", "macbeth/hecate", "tempest/ceres"]
    found, every = dataset(), dataset().load(None)
    some = found.load(chosen)
    assert some.natural is not None and every.natural is not None and some.test is not None
    assert (np.diff(some.natural) >= 0).all()
    for position, name in enumerate(chosen):
        of_all = np.flatnonzero(every.natural == list(found.natural).index(name))
        own = some.train.take(np.flatnonzero(some.natural == position))
        np.testing.assert_array_equal(own.x, every.train.x[of_all])
        np.testing.assert_array_equal(own.y, every.train.y[of_all])
    assert len(some.test) == sum(len(found.load([name]).test or []) for name in chosen)


@pytest.mark.parametrize(("length", "step"), [(80, 80), (20, 7), (1, 1), (1000, 50)])
def test_examples_have_the_chosen_length_and_step(length: int, step: int) -> None:
    name = "othello/iago"
    every = dataset(length=length, step=1).load([name]).train
    some = dataset(length=length, step=step).load([name]).train
    assert some.x.shape == (-(-len(every) // step), length)
    np.testing.assert_array_equal(some.x[:], every.x[np.arange(0, len(every), step)])
    np.testing.assert_array_equal(some.y, every.y[::step])


def test_roles_too_short_for_an_example_are_left_out() -> None:
    long, short = dataset(length=1000), dataset(length=80)
    assert 0 < len(long.natural) < len(short.natural)
    sizes = [len(long.load([name]).train) for name in long.natural]
    assert min(sizes) >= 1


def test_examples_are_cut_out_when_they_are_read() -> None:
    loaded = dataset(step=1).load(None)
    half = loaded.train.select(np.arange(0, len(loaded.train), 2))
    assert not isinstance(half.x, np.ndarray)
    np.testing.assert_array_equal(half.take(slice(3, 5)).x, loaded.train.x[np.array([6, 8])])


@pytest.mark.parametrize("keys", [{"length": 0}, {"length": 1001}, {"step": 0}, {"step": 0.5}])
def test_invalid_keys_are_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Data.model_validate({"dataset": {"kind": "shakespeare_roles", **keys}})


def test_roles_are_natural_clients() -> None:
    data = Data.model_validate({"dataset": {"kind": "shakespeare_roles", "step": 40}})
    clients = Clients.model_validate({"count": 12, "split": "natural"})
    made = federate(data, clients, 0, Cache(Path("unused")))
    assert len(set(made.names)) == 12 and made.num_classes == 63
    again = dataset(step=40).load(made.names)
    assert again.test is not None
    np.testing.assert_array_equal(made.test.y, again.test.y)
    for client, name in enumerate(made.names):
        own = dataset(step=40).load([name]).train
        np.testing.assert_array_equal(made.examples(client).x, own.x[:])
    assert made.label_counts.shape == (12, 63)


# The script


PLAY = """\
TWO FRIENDS

by nobody

DRAMATIS PERSONAE

ANNA, a friend

ACT I.

SCENE I. A room.

[Enter ANNA and SIR BO]

ANNA.
Good {morning}, [Aside.] sir;
  how  do you?

SIR BO.
Well.

[He sits down.]

This is nobody's.

ALL.
Long live the king!


ANNA.
[Reads] 'It is
[A noise.]
late.'

BOTH. On one line.

SIR BO.
[Exit.]

CUT.
"""


def made(play: str, folder: Path) -> dict[str, Any]:
    texts = folder / "texts"
    texts.mkdir(exist_ok=True)
    for name in (
        *("as_you_like_it", "julius_caesar", "macbeth", "merchant_of_venice"),
        *("much_ado_about_nothing", "othello", "tempest", "twelfth_night"),
    ):
        (texts / f"{name}_gut.txt").write_text(play if name == "macbeth" else "")
    script = ROOT / "docs" / "make_shakespeare_roles.py"
    target = folder / "made.json.xz"
    subprocess.run([sys.executable, str(script), str(texts), str(target)], check=True, cwd=ROOT)
    return json.loads(lzma.decompress(target.read_bytes()))


def test_the_script_collects_speeches_by_role(tmp_path: Path, committed: dict[str, Any]) -> None:
    length = 250
    play = PLAY + f"\nANNA.\n{'a' * length}\n\nANNA.\n{'b' * length}\n\nONCE.\n{'c' * 600}\n"
    found = made(play, tmp_path)
    anna = ["Good morning, sir;\nhow do you?", "'It is\nlate.'", "a" * length, "b" * length]
    assert found.pop("roles") == [{"play": "macbeth", "role": "ANNA", "speeches": anna}]
    assert found == {key: value for key, value in committed.items() if key != "roles"}


def test_the_committed_file_is_a_fixed_point_of_the_script(
    committed: dict[str, Any], tmp_path: Path
) -> None:
    """Its speeches, laid out like the original texts, give the same speeches again."""
    own = [role for role in committed["roles"] if role["play"] == "macbeth"]
    play = "\n\n".join(f"{r['role']}.\n{said}" for r in own for said in r["speeches"])
    assert made(play, tmp_path)["roles"] == own
