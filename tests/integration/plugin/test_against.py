"""``--fed-against``: pairs of runs with the code of a revision and of the working tree.

The trainings are made up by the projects' own conftest.py, so that no test needs TensorFlow.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_federated.running.pipeline as pipeline
from example_results import example_result
from pytest_federated.core.errors import FederatedError
from pytest_federated.plugin.against import Against
from pytest_federated.results.store import write_result

SCENARIO = """\
schema: 1
name: {name}
data: {{dataset: digits}}
clients: {{count: 4}}
model: {{kind: mlp, hidden: [16]}}
training: {{rounds: 3}}
seeds: [0, 1, 2]
"""

# The code of the project: an accuracy that depends on the seed, plus what `code` adds.
CONFTEST = """\
import os
from pathlib import Path
import pytest_federated.running.pipeline as pipeline
from pytest_federated.training.history import Round, TrainingHistory

def train(scenario, seed, *rest):
    final = 0.8 + seed % 3 / 100 + {code}
    with Path({log!r}).open("a") as log:
        log.write(f"{{seed}}\\n")
    rounds = [
        Round(round=n, clients=4, held_examples=9, examples=9, train_loss=1.0, train_accuracy=0.5,
              accuracy=value, loss=1 - value)
        for n, value in enumerate((0.1, 0.5, final), start=1)
    ]
    return TrainingHistory(
        seed=seed, rounds=tuple(rounds), client_examples=(5, 5, 5, 5), test_examples=1000
    )

pipeline.train_seed = train
"""


class Project:
    """A git repository with a scenario, and code that makes up its trainings."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester
        self.log = Path(tempfile.mkdtemp()) / "trained"
        pytester.makeini("[pytest]\n")
        self.scenario("made")
        self.code("0")
        self._git("init", "-q", "-b", "main")
        self.commit()

    def commit(self) -> None:
        self._git("add", "-A")
        self._git("commit", "-q", "-m", "one")

    def _git(self, *arguments: str) -> None:
        who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        subprocess.run(["git", *who, *arguments], cwd=self.pytester.path, check=True)

    def scenario(self, name: str) -> None:
        file = self.pytester.path / f"scenarios/{name}.yaml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(SCENARIO.format(name=name))

    def code(self, added: str) -> None:
        """Lets the code of the working tree add this to each accuracy."""
        text = CONFTEST.format(code=added, log=str(self.log))
        (self.pytester.path / "conftest.py").write_text(text)

    def trained(self) -> list[int]:
        """Returns the seeds that were trained since the last call."""
        seeds = [int(line) for line in self.log.read_text().split()] if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return seeds

    def run(self, *arguments: str) -> pytest.RunResult:
        return self.pytester.runpytest_subprocess("scenarios", "--fed-against=main", *arguments)

    def run_here(self, *arguments: str) -> pytest.RunResult:
        """Runs in this process, which is quicker, where nothing is trained."""
        return self.pytester.runpytest_inprocess("scenarios", "--fed-against=main", *arguments)


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setattr(pipeline, "train_seed", pipeline.train_seed)  # a conftest.py replaces it
    return Project(pytester)


@pytest.mark.slow
@pytest.mark.parametrize("processes", [[], ["-n2"]])
def test_a_change_of_code_that_is_worse_fails(
    pytester: pytest.Pytester, project: Project, processes: list[str]
) -> None:
    """No baseline is needed or written; a second look takes ten seeds on both sides."""
    project.code("-0.1")
    result = project.run_here("--fed-no-cache", *processes)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "running the scenarios at main (*) to compare with ...",
            "*difference (10 pairs, 95 %)*",
            "accuracy *0.8* *0.7* *-0.1 (-0.1* to -0.*) *WORSE*",
            "against main (*): 1 worse",
            "  worse: made: accuracy 0.809 -> 0.709, *",
        ]
    )
    assert {*project.trained()} == {*range(10)}
    assert not (pytester.path / "scenarios/baselines").exists()


@pytest.mark.parametrize(
    ("added", "kind"),
    [
        ("0", "same"),
        ("0.1 + seed / 5000", "better"),
        ("seed % 2 / 50", "undecided"),
    ],
)
@pytest.mark.slow
def test_a_change_that_is_not_worse_passes(
    project: Project, added: str, kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The summary of the job is written once, by this session and not by the revision's."""
    summary = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    project.code(added)
    result = project.run_here("--fed-no-cache")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([f"against main (*): 1 {kind}"])
    assert summary.read_text().count("# ") == 1


@pytest.mark.slow
def test_trainings_that_both_sides_share_run_once(project: Project) -> None:
    """The code is the same, so the cache has the trainings."""
    project.run().assert_outcomes(passed=1)
    assert project.trained() == [0, 1, 2]


@pytest.mark.slow
def test_a_scenario_that_the_revision_cannot_run_is_new(project: Project) -> None:
    """Files come from the working tree, and the old code does not know what this one names."""
    project.scenario("added")
    project.code("0 if scenario.name == 'made' else 1 / 0")
    project.commit()
    project.code("0")
    result = project.run("--fed-no-cache")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["against main (*): 1 new, 1 same", "  new: added: *ZeroDivision*"])


@pytest.mark.slow
def test_a_target_that_the_revision_does_not_reach_is_not_compared(
    pytester: pytest.Pytester, project: Project
) -> None:
    """It is reached in every seed now, which is fine."""
    file = pytester.path / "scenarios/made.yaml"
    target = "expect: {rounds_to_accuracy: {target: 0.805, at_most: 3}}\n"
    file.write_text(SCENARIO.format(name="made") + target)
    project.code("0.006")
    result = project.run("--fed-no-cache")
    result.assert_outcomes(passed=1)
    reason = "rounds_to_accuracy not compared; it has no figure of every seed at main (*)"
    result.stdout.fnmatch_lines(
        ["against main (*): 1 incomplete", f"  incomplete: made: {reason}; better loss *"]
    )


@pytest.mark.slow
def test_a_changed_default_in_the_code_is_judged(
    pytester: pytest.Pytester, project: Project
) -> None:
    """With a baseline file, the scenario would count as another one."""
    registered = """
import pytest_federated
@pytest_federated.shift("own", of="labels")
def own(y, holder, rng, *, strength: float = {default}):
    return y
"""
    (pytester.path / "scenarios/made.yaml").write_text(
        SCENARIO.format(name="made").replace("count: 4}", "count: 4, shift: [own]}")
    )
    conftest = pytester.path / "conftest.py"
    trains = conftest.read_text()
    conftest.write_text(trains + registered.format(default=0.1))
    project.commit()
    conftest.write_text(trains + registered.format(default=0.2))
    result = project.run("--fed-no-cache")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["against main (*): 1 same"])


@pytest.mark.parametrize("processes", [[], ["-n2"]])
def test_nothing_runs_if_scenarios_are_only_collected(
    project: Project, processes: list[str]
) -> None:
    result = project.run_here("--collect-only", *processes)
    assert result.ret == pytest.ExitCode.OK
    assert not project.trained()


def test_a_revision_that_cannot_run_at_all_is_an_error(
    pytester: pytest.Pytester, project: Project
) -> None:
    (pytester.path / "conftest.py").write_text("raise RuntimeError('broken at that commit')\n")
    project.commit()
    project.code("0")
    result = project.run_here()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: --fed-against: pytest at main (*) ended with code 4: *broken at that commit*"]
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--fed-against=mian"], "ERROR: --fed-against: got 'mian'; no such revision in *"),
        (["--fed-baseline=check"], "*--fed-against compares with a revision, in place of *"),
    ],
)
def test_a_wrong_comparison_is_refused_before_anything_runs(
    project: Project, arguments: list[str], said: str
) -> None:
    result = project.run_here(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([said])
    assert not project.trained()


def test_a_repository_is_needed(pytester: pytest.Pytester, project: Project) -> None:
    (pytester.path / ".git").rename(pytester.path / "no-git")
    result = project.run_here()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --fed-against: not a git repository*"])


@pytest.mark.slow
def test_nothing_is_left_behind(
    pytester: pytest.Pytester, project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    project.run("--fed-report=out").assert_outcomes(passed=1)
    assert [path.name for path in tmp_path.glob("pytest-federated-*")] == []
    assert not (pytester.path / ".git/worktrees").exists()
    record = json.loads((pytester.path / "out/records/made.json").read_text())
    assert record["settings"]["seeds"] == [0, 1, 2]


class Revision:
    """In place of the pytest of a revision: what it is told, and what it answers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.arguments: list[str] = []
        self.keys: dict[str, Any] = {}
        self.code, self.out, self.err = 0, "", ""
        fake = SimpleNamespace(run=self.run, DEVNULL=subprocess.DEVNULL)
        monkeypatch.setattr("pytest_federated.plugin.against.subprocess", fake)

    def run(self, command: Sequence[str], **keys: Any) -> Any:
        self.arguments, self.keys = [*command[command.index("-c") + 2 :]], keys
        report = self.told("--fed-report")
        write_result(example_result("made"), Path(report))
        return subprocess.CompletedProcess(command, self.code, self.out, self.err)

    def told(self, option: str) -> str:
        """Returns the last value of an option."""
        return [a for a in self.arguments if a.startswith(f"{option}=")][-1].partition("=")[2]


@pytest.fixture
def revision(monkeypatch: pytest.MonkeyPatch) -> Revision:
    return Revision(monkeypatch)


@pytest.fixture
def against(
    project: Project, revision: Revision, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Against]:
    """The comparison of a session that was started in the folder of the scenarios."""
    monkeypatch.chdir(project.pytester.path / "scenarios")
    options = ("made.yaml", "--rootdir=..", "--fed-strict", "--cache-clear", "-p", "no:xdist")
    one = Against(project.pytester.parseconfigure(*options), "main")
    yield one
    one.close()


def test_the_revision_runs_its_own_tree_with_the_options_and_the_cache_of_the_session(
    project: Project, revision: Revision, against: Against, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    monkeypatch.setenv("MINE", "kept")
    root = project.pytester.path
    against.start([root / "scenarios/made.yaml"])
    tree = Path(revision.told("--rootdir"))
    assert tree != root and (tree / "conftest.py").read_text() == (root / "conftest.py").read_text()
    assert revision.keys["cwd"] == tree / "scenarios"
    assert str(tree / "scenarios/made.yaml") in revision.arguments
    assert "--fed-strict" in revision.arguments
    assert not {"--cache-clear", "made.yaml", "-n0"} & {*revision.arguments}
    assert revision.arguments[-1] == f"-ocache_dir={root / '.pytest_cache'}"
    assert revision.told("--fed-baseline") == "ignore" and revision.told("--fed-against") == ""
    variables = revision.keys["env"]
    assert variables["MINE"] == "kept" and "GITHUB_STEP_SUMMARY" not in variables
    output = ("capture_output", "text", "check")
    assert [revision.keys[key] for key in output] == [True, True, False]
    assert (
        against.name == f"main ({against._commit[:7]})" and len(against.name) == len("main (7)") + 6
    )
    assert against.result("made") == example_result("made")
    assert against.result("added") is None


@pytest.mark.parametrize("folder", [".git", ".."], ids=["left out", "outside"])
def test_a_session_from_a_folder_that_is_not_in_the_copy_starts_at_its_top(
    project: Project, revision: Revision, against: Against, folder: str
) -> None:
    start = project.pytester.path / folder
    against._config.invocation_params = SimpleNamespace(args=(), dir=start)  # type: ignore
    against.start([])
    assert revision.keys["cwd"] == Path(revision.told("--rootdir"))


@pytest.mark.parametrize("has_xdist", [True, False])
def test_more_seeds_run_in_one_process_on_their_own(
    project: Project, revision: Revision, against: Against, has_xdist: bool
) -> None:
    against.start([])
    if has_xdist:
        against._config.option.numprocesses = 2
    file = project.pytester.path / "scenarios/made.yaml"
    assert against.result_on_seeds("made", file, 5) == example_result("made")
    assert revision.told("--fed-seeds") == "5"
    assert any(a.endswith("scenarios/made.yaml::made") for a in revision.arguments)
    assert ("-n0" in revision.arguments) == has_xdist
    assert f"more-{os.getpid()}" in revision.told("--fed-report")


@pytest.mark.parametrize("code", [pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED])
def test_scenarios_may_fail_at_the_revision(
    revision: Revision, against: Against, code: int
) -> None:
    revision.code = code
    against.start([])
    assert against.result("made") == example_result("made")


@pytest.mark.parametrize(
    ("out", "err", "said"),
    [
        ("", "ImportError\nE   one\nE   RuntimeError: no\nand more", "RuntimeError: no"),
        ("of tests", "warning\nERROR: no such option", "no such option"),
        ("INTERNALERROR> it\nINTERNALERROR> broke", " \n", "INTERNALERROR> broke"),
        ("", "", "it says nothing"),
        ("", "ERROR: 2 problems\n  a.yaml:1: one\n  b.yaml:2: two\n", "b.yaml:2: two"),
        ("ERROR a.yaml - no\n1 error in 0.1s\n", "a warning", "a.yaml - no"),
    ],
)
def test_why_the_revision_cannot_run_is_one_line(
    revision: Revision, against: Against, out: str, err: str, said: str
) -> None:
    revision.code, revision.out, revision.err = 3, out, err
    with pytest.raises(FederatedError) as error:
        against.start([])
    expected = f"--fed-against: pytest at {against.name} ended with code 3: {said}"
    assert str(error.value) == expected


def test_the_folder_of_the_revision_is_removed_and_need_not_be_there(against: Against) -> None:
    against.start([])
    against.close()
    assert not against._folder.exists()
    against.close()
