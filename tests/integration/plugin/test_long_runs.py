"""Long runs: the cache of trainings, checkpoints, and the time limit."""

from __future__ import annotations

import contextlib
import json
import random
import re
import signal
from pathlib import Path
from typing import Any

import pytest
from faults import fault
from forked_programs import Program
from processes import pytest_run, wait_until
from pytest_federated import Options, Scenario, run
from pytest_federated.core.errors import NotUsed
from pytest_federated.running import fingerprint
from pytest_federated.running.fingerprint import of_any_rounds, training_key
from pytest_federated.running.store import Store
from pytest_federated.training.history import Round, TrainingHistory
from pytest_federated.training.observer import Observer, Progress
from scenario_texts import LONG, TINY


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "scenarios").mkdir()
    return tmp_path


def write(project: Path, **files: str) -> None:
    for name, text in files.items():
        (project / "scenarios" / f"{name}.yaml").write_text(text)


def reused(output: str) -> tuple[int, int]:
    """Returns the number of trainings from the cache, and the number that the session needed."""
    found = re.search(r"^(\d+) of (\d+) trainings unchanged", output, flags=re.MULTILINE)
    return (int(found[1]), int(found[2])) if found else (0, 0)


OWN = """\
import tensorflow as tf
from sizes import WIDTH

def build(input_shape, num_classes):
    return tf.keras.Sequential([
        tf.keras.layers.Flatten(input_shape=input_shape),
        tf.keras.layers.Dense(WIDTH, activation="relu"),
        tf.keras.layers.Dense(num_classes),
    ])
"""


@pytest.mark.usefixtures("tff_programs")
def test_an_unchanged_scenario_is_not_trained_again(project: Path) -> None:
    own = TINY.replace("{kind: mlp, hidden: [16]}", '{keras: "own:build"}')
    write(project, a=TINY.replace("name: tiny", "name: a"), b=own.replace("name: tiny", "name: b"))
    (project / "scenarios" / "own.py").write_text(OWN)
    (project / "scenarios" / "sizes.py").write_text("WIDTH = 32")
    first = pytest_run(project, "--fed-report=one")
    assert "2 passed" in first
    assert reused(first) == (0, 0)

    (project / "conftest.py").write_text(
        "import sys\ndef pytest_terminal_summary(terminalreporter):\n"
        "    terminalreporter.write_line(f'imported: {\"tensorflow\" in sys.modules}')"
    )
    again = pytest_run(project, "--fed-report=two", fresh=True)
    assert "imported: False" in again
    assert reused(again) == (2, 2)
    for file in (project / "one").rglob("*.*"):
        assert (project / "two" / file.relative_to(project / "one")).read_bytes() == (
            file.read_bytes()
        )
    (project / "conftest.py").unlink()

    write(project, a=TINY.replace("name: tiny", "name: other").replace("0.3", "0.99"))
    judged = pytest_run(project)
    assert "1 failed, 1 passed" in judged
    assert reused(judged) == (2, 2)

    (project / "scenarios" / "sizes.py").write_text("WIDTH = 33")
    assert reused(pytest_run(project)) == (1, 2)
    assert reused(pytest_run(project, "--fed-no-cache", "-k", "other")) == (0, 0)


@fault(
    "a cache entry that is cut off, empty, poisoned, of another seed or without rounds",
    outcome="a warning, the training is done again",
    times=6,
)
def test_a_damaged_cache_entry_is_ignored(tmp_path: Path) -> None:
    done = Round(
        round=1,
        clients=1,
        held_examples=1,
        examples=1,
        train_loss=float("nan"),
        train_accuracy=0.5,
    )
    history = TrainingHistory(seed=0, rounds=(done,), client_examples=(1,), test_examples=1)
    store = Store(tmp_path)
    assert store.read("0" * 64) is None
    store.add("0" * 64, history)
    assert str(store.read("0" * 64)) == str(history)
    (file,) = tmp_path.glob("*.training")
    whole = file.read_bytes()
    first, _, text = whole.partition(b"\n")
    for damaged in (
        whole[:-20],
        b"",
        text,
        first + b"\n" + text.replace(b"0.5", b"0.9"),
        first + b"\n" + text.replace(b'"seed": 0', b'"seed": 1'),
        first + b"\n" + history.model_copy(update={"rounds": ()}).model_dump_json().encode(),
    ):
        assert damaged != whole
        file.write_bytes(damaged)
        with pytest.warns(NotUsed, match="finished trainings is damaged"):
            assert store.read("0" * 64) is None
    file.write_bytes(whole)
    assert store.read("0" * 64) is not None


@fault(
    "a cache entry under the name of another training",
    outcome="a warning, the training is done again",
)
def test_the_cache_entry_of_another_training_is_ignored(tmp_path: Path) -> None:
    """Even if it is intact, such as one that was copied or renamed in the folder."""
    done = Round(
        round=1, clients=1, held_examples=1, examples=1, train_loss=0.5, train_accuracy=0.5
    )
    history = TrainingHistory(seed=0, rounds=(done,), client_examples=(1,), test_examples=1)
    Store(tmp_path).add("0" * 64, history)
    (tmp_path / f"{'0' * 64}.training").rename(tmp_path / f"{'1' * 64}.training")
    with pytest.warns(NotUsed):
        assert Store(tmp_path).read("1" * 64) is None


SCENARIO: dict[str, Any] = {
    "name": "s",
    "data": {"dataset": "digits"},
    "clients": {"count": 4},
    "model": {"kind": "mlp", "hidden": [16]},
    "training": {"rounds": 2},
}


def changed(key: str, value: Any) -> Scenario:
    settings = json.loads(json.dumps(SCENARIO))
    *path, last = key.split(".")
    section = settings
    for part in path:
        section = section[part]
    section[last] = value
    return Scenario.model_validate(settings)


def plain() -> Scenario:
    return Scenario.model_validate(SCENARIO)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", "other"),
        ("description", "other"),
        ("tags", ["other"]),
        ("seeds", [0, 1]),
        ("expect", {"accuracy": {"at_least": 0.1}}),
    ],
)
def test_a_training_does_not_depend_on_other_keys(key: str, value: Any) -> None:
    assert training_key(changed(key, value), 0) == training_key(plain(), 0)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("data", {"dataset": "mnist_5k"}),
        ("data.test_fraction", 0.3),
        ("clients.count", 5),
        ("clients.split", "natural"),
        ("clients.per_round", 2),
        ("model.hidden", [17]),
        ("training.rounds", 3),
        ("training.local_epochs", 3),
        ("training.execution", "standard"),
        ("training.server_optimizer", {"kind": "adam", "learning_rate": 0.1}),
    ],
)
def test_a_training_depends_on_these_keys(key: str, value: Any) -> None:
    assert training_key(changed(key, value), 0) != training_key(plain(), 0)


def test_a_training_depends_on_its_seed_and_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = training_key(plain(), 0)
    keys = [first, training_key(plain(), 1)]
    names = ("TF_ENABLE_ONEDNN_OPTS", "ONEDNN_MAX_CPU_ISA", "NPY_DISABLE_CPU_FEATURES")
    for name in (*names, "TF_NUM_INTRAOP_THREADS"):
        monkeypatch.setenv(name, "0")
        keys.append(training_key(plain(), 0))
        monkeypatch.delenv(name)
    monkeypatch.setattr(fingerprint, "_instruction_sets", lambda: ["avx"])
    keys.append(training_key(plain(), 0))
    assert len(set(keys)) == len(keys)


def test_a_training_does_not_depend_on_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    key = training_key(plain(), 0)
    for name in ("TF_CPP_MIN_LOG_LEVEL", "OMP_NUM_THREADS"):
        monkeypatch.setenv(name, "3")
    assert training_key(plain(), 0) == key


def test_a_training_depends_on_the_code_of_registered_entries(
    pytester: pytest.Pytester,
) -> None:
    """Each key is that of a process of its own; they share what they import before the fork."""
    code = """
        import os, sys, pytest_federated, numpy as np
        from pytest_federated.running.fingerprint import training_key
        for folder in ("one", "other", "changed"):
            if os.fork():
                os.wait()
                continue
            sys.path.insert(0, folder)
            import splitter
            print(training_key(pytest_federated.Scenario.model_validate(dict(
                name="s", data=dict(dataset="digits"), clients=dict(count=4, split="mine"),
                model=dict(kind="mlp", hidden=[16]), training=dict(rounds=2))), 0), flush=True)
            os._exit(0)
    """
    pytester.makepyfile(run=code)
    for folder, twist in (("one", ""), ("other", ""), ("changed", "# changed")):
        pytester.mkdir(folder)
        pytester.makepyfile(
            **{
                f"{folder}/splitter": f"""
                import pytest_federated, numpy as np
                @pytest_federated.split("mine")
                def mine(pool, rng):
                    return np.arange(len(pool.labels)) % pool.clients {twist}
                """
            }
        )
    one, other, changed = pytester.runpython(pytester.path / "run.py").outlines
    assert one == other != changed


ROUNDS = 150
# Server state of every kind: weights, moments and a counter.
LONGER = f"""\
schema: 1
name: longer
data: {{dataset: digits}}
clients: {{count: 4, per_round: 3}}
model: {{kind: mlp, hidden: [16]}}
training:
  rounds: {ROUNDS}
  eval_every: 50
  server_optimizer: {{kind: adam, learning_rate: 0.01}}
"""


# Writes the current round into a file.
WRITES_ROUND = """\
from pathlib import Path
from pytest_federated.plugin.progress import ProgressBar

def after_round(self, progress, shown=ProgressBar.after_round):
    Path("round").write_text(str(len(progress.rounds)))
    return shown(self, progress)

ProgressBar.after_round = after_round
"""


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The record of the longer training without an interruption, with another hash seed."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "scenarios").mkdir()
    write(folder, a=LONGER)
    assert "1 passed" in pytest_run(folder, "--fed-report=whole", fresh=True)
    (record,) = (folder / "whole").glob("records/*.json")
    return record


@fault(
    "kill -9 and Ctrl-C at a random round, then --fed-resume",
    outcome="the record equals that of an uninterrupted training, to the byte",
)
@pytest.mark.slow
@pytest.mark.usefixtures("tff_programs")
@pytest.mark.parametrize(
    ("sent", "every"), [(signal.SIGKILL, 7), (signal.SIGINT, 10_000)], ids=["kill", "ctrl-c"]
)
def test_a_resumed_training_ends_with_exactly_the_same_numbers(
    project: Path, uninterrupted: Path, sent: signal.Signals, every: int
) -> None:
    write(project, a=LONGER)
    (project / "conftest.py").write_text(WRITES_ROUND)
    process = Program("pytest", f"--fed-checkpoint={every}", "-v", cwd=project)
    reached, wanted = project / "round", random.randint(10, 75)
    assert wait_until(lambda: reached.exists() and int(reached.read_text() or 0) >= wanted)
    process.send_signal(sent)
    process.communicate(timeout=150)
    assert process.returncode != 0, "it finished before the signal"
    folder = project / ".pytest_cache" / "d" / "federated" / "checkpoints"

    output = pytest_run(project, "--fed-resume", "--fed-report=resumed", "-v")
    assert re.search(r"longer: goes on after round \d+$", output, flags=re.MULTILINE)
    record = project / "resumed" / "records" / uninterrupted.name
    assert record.read_bytes() == uninterrupted.read_bytes()
    kept = [path.relative_to(folder).parts for path in folder.glob("*/*/*/*")]
    assert {parts[0] for parts in kept} == {"longer"}
    assert len(kept) == 2, "the last two checkpoints are kept"
    assert f"round-{ROUNDS}" in {parts[-1] for parts in kept}


@fault(
    "a checkpoint that is cut off",
    outcome="a warning, the training starts over; left-over checkpoints are removed",
)
@pytest.mark.parametrize("resume", [True, False])
@pytest.mark.usefixtures("worker")
def test_a_damaged_checkpoint_is_ignored(tmp_path: Path, resume: bool) -> None:
    of_seed = tmp_path / "checkpoints" / "s" / "seed-0"
    key = training_key(of_any_rounds(plain()), 0)
    for folder in (key, "of the scenario as it was before a change"):
        broken = of_seed / folder / "round-1"
        broken.mkdir(parents=True)
        (broken / "saved_model.pb").write_bytes(b"cut off")
        (broken.parent / "round-7_temp123").mkdir()  # as a killed process leaves it
    options = Options(store=Store(tmp_path), resume=resume)
    with pytest.warns(NotUsed) if resume else contextlib.nullcontext():
        result = run(plain(), options)
    assert [r.round for r in result.histories[0].rounds] == [1, 2]
    kept = [key] if resume else []  # for a training with more rounds
    assert [folder.name for folder in (tmp_path / "checkpoints").glob("*/*/*")] == kept
    assert [folder.name for folder in of_seed.glob("*/*")] == ["round-2" for _ in kept]
    assert run(plain(), Options(store=Store(tmp_path))).reused == 1


@fault(
    "a checkpoint under the name of another training",
    outcome="a warning, the same numbers as usual",
)
@pytest.mark.usefixtures("worker")
def test_a_checkpoint_of_another_training_is_ignored(tmp_path: Path) -> None:
    """Even if the states have the same structure."""
    other, own = changed("training.batch_size", 4), plain()
    places = [
        tmp_path / "checkpoints" / "s" / "seed-0" / training_key(of_any_rounds(scenario), 0)
        for scenario in (other, own)
    ]

    class CutOff(Observer):
        def after_round(self, progress: Progress) -> bool:
            if len(progress.rounds) == 1:
                return False
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(other, Options(store=Store(tmp_path), checkpoint_every=1), [CutOff()])
    places[0].rename(places[1])
    assert list(places[1].iterdir())
    with pytest.warns(NotUsed, match="a checkpoint is damaged"):
        result = run(own, Options(store=Store(tmp_path), resume=True))
    assert result.histories == run(own).histories


def trained_by(**training: Any) -> Scenario:
    """`plain`, trained in another way, with a metric of predictions beside loss and accuracy."""
    scored = {"f1": {"at_least": 0}}
    return Scenario.model_validate({**SCENARIO, "training": training, "expect": scored})


class Trained(Observer):
    """Notes the number of rounds after each round that is really trained."""

    def __init__(self) -> None:
        self.after: list[int] = []

    def after_round(self, progress: Progress) -> bool:
        self.after.append(len(progress.rounds))
        return False


@pytest.mark.parametrize(
    "chosen, first, then, begins_after",
    [
        ("fedavgm", 4, 7, 4),  # 4 was evaluated as the last round, but is no longer the last
        ("fedavgm", 7, 6, 0),  # no checkpoint of at most 6 rounds was kept
        ("step", 4, 7, 4),  # with this schedule, no round depends on the total number
        ("cosine", 4, 7, 0),  # with this one, each does
    ],
)
@pytest.mark.usefixtures("worker")
def test_other_rounds_go_on_from_the_last_checkpoint(
    tmp_path: Path, chosen: str, first: int, then: int, begins_after: int
) -> None:
    def scenario(rounds: int) -> Scenario:
        training: dict[str, Any] = {"rounds": rounds, "eval_every": 3}
        if chosen == "fedavgm":
            return trained_by(algorithm=chosen, **training)
        schedule = {"kind": chosen, **({"every": 2} if chosen == "step" else {})}
        for side in ("client_optimizer", "server_optimizer"):
            training[side] = {"kind": "sgd", "learning_rate": 0.1, "schedule": schedule}
        return trained_by(**training)

    options = Options(store=Store(tmp_path), resume=True)
    run(scenario(first), options)
    trained = Trained()
    resumed = run(scenario(then), options, [trained])
    assert trained.after[0] == begins_after + 1
    assert resumed.histories == run(scenario(then)).histories


@pytest.mark.usefixtures("worker")
def test_a_training_that_ends_at_a_checkpoint_is_evaluated_there(tmp_path: Path) -> None:
    class CutOff(Observer):
        def after_round(self, progress: Progress) -> bool:
            if len(progress.rounds) == 2:
                raise KeyboardInterrupt
            return False

    def scenario(rounds: int) -> Scenario:
        return trained_by(rounds=rounds, eval_every=5)

    options = Options(store=Store(tmp_path), resume=True)
    with pytest.raises(KeyboardInterrupt):
        run(scenario(5), options, [CutOff()])
    trained = Trained()
    resumed = run(scenario(2), options, [trained])
    assert trained.after == [2]
    assert resumed.histories == run(scenario(2)).histories


@fault(
    "a training that outlasts --fed-timeout",
    outcome="errored, the others pass, exit code 1",
)
@pytest.mark.usefixtures("tff_programs")
def test_the_time_limit_ends_one_scenario(project: Path) -> None:
    named = {n: TINY.replace("name: tiny", f"name: {n}") for n in ("a", "c")}
    write(project, **named, b=LONG)
    output = pytest_run(project, "--fed-timeout=15", "--fed-no-cache")
    assert "1 failed, 2 passed" in output
    assert "long - not done after 15 seconds, the time limit" in output.replace("\n", " ")
