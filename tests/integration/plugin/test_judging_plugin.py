"""How pytest handles verdicts. Trainings are made up, so that no test needs TensorFlow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable

import pytest
from made_trainings import SCENARIO, FakeTrainings
from pytest_federated.expectations.regression import look_twice
from pytest_federated.metrics.metric import metrics
from pytest_federated.plugin.options import run_options

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.mark.parametrize(
    ("arguments", "outcomes"),
    [
        ([], {"passed": 1}),
        (["--fed-inconclusive=mean"], {"passed": 1}),
        (["--fed-inconclusive=pass"], {"passed": 1}),
        (["--fed-inconclusive=warn"], {"passed": 1, "warnings": 1}),
        (["--fed-inconclusive=fail"], {"failed": 1}),
        (["-o", "fed_inconclusive=fail"], {"failed": 1}),
    ],
)
def test_each_policy_decides_an_inconclusive_expectation(
    pytester: pytest.Pytester, made: FakeTrainings, arguments: list[str], outcomes: dict[str, int]
) -> None:
    result = pytester.runpytest_inprocess("scenarios", *arguments)
    result.assert_outcomes(**outcomes)
    result.stdout.no_fnmatch_line("*Traceback*")
    if "warnings" in outcomes:
        result.stdout.fnmatch_lines(
            ["*Inconclusive: made: accuracy 0.9, expected >= 0.88 (inconclusive): pass*"]
        )


def test_a_miss_shows_the_interval_and_each_seed(
    pytester: pytest.Pytester, made: FakeTrainings
) -> None:
    made.accuracies = {0: 0.85, 1: 0.89}
    result = pytester.runpytest_inprocess("scenarios")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "accuracy 0.87 < 0.88 (inconclusive)",
            "scenarios/made.yaml::made (line 1)",
            "expectation *expected *measured *95 % interval *margin *verdict",
            "accuracy * >= 0.88 *0.87 *0.6159 to 1 *-0.01 *FAIL (inconclusive; *seed*",
            "*seed *accuracy",
            "0 * 0.85",
            "1 * 0.89",
        ]
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--fed-inconclusive=maybe"], "*invalid choice: 'maybe'*"),
        (["-o", "fed_inconclusive=means"], "*got 'means'; allowed: mean, *did you mean 'mean'?"),
    ],
)
def test_an_unknown_policy_is_refused(
    pytester: pytest.Pytester, made: FakeTrainings, arguments: list[str], said: str
) -> None:
    result = pytester.runpytest_inprocess("scenarios", *arguments)
    (result.stderr if result.ret == pytest.ExitCode.USAGE_ERROR else result.stdout).fnmatch_lines(
        [said]
    )
    assert result.ret != pytest.ExitCode.OK
    assert not made.trained


# Baselines

MISSING = "baselines: 1 missing"


def baseline(pytester: pytest.Pytester) -> Path:
    return pytester.path / "scenarios/baselines/made.json"


def check(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return pytester.runpytest_inprocess(
        "scenarios", "--fed-baseline=check", "--cache-clear", *arguments
    )


@pytest.fixture(scope="module")
def written() -> dict[Path, bytes]:
    """What `updated` wrote first: baseline and cache."""
    return {}


@pytest.fixture
def updated(
    pytester: pytest.Pytester, made: FakeTrainings, written: dict[Path, bytes]
) -> FakeTrainings:
    """Writes a baseline with accuracies 0.89 and 0.91: by a run the first time, then its copy."""
    if not written:
        result = pytester.runpytest_inprocess("scenarios", "--fed-baseline=update")
        result.assert_outcomes(passed=1)
        result.stdout.fnmatch_lines(["baselines: 1 written"])
        assert baseline(pytester).is_file()
        made.trained.clear()
        files = [file for file in pytester.path.rglob("*") if file.is_file()]
        written.update({file.relative_to(pytester.path): file.read_bytes() for file in files})
    for name, content in written.items():
        file = pytester.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return made


def test_records_that_a_report_leaves_out_are_counted(
    pytester: pytest.Pytester, made: FakeTrainings
) -> None:
    other = pytester.path / "scenarios/other.yaml"
    other.write_text(SCENARIO.replace("name: made", "name: other"))
    line = "  not in it: 1 older record(s) there, of scenarios that did not run now (*"
    both = pytester.runpytest_inprocess("scenarios", "--fed-report=out")
    both.stdout.no_fnmatch_line(line)
    one = pytester.runpytest_inprocess("scenarios", "--fed-report=out", "-k", "made")
    one.stdout.fnmatch_lines(["report: out/index.md", line])


def test_a_baseline_of_a_deleted_scenario_is_named(
    pytester: pytest.Pytester, updated: FakeTrainings
) -> None:
    other = pytester.path / "scenarios/other.yaml"
    other.write_text(SCENARIO.replace("name: made", "name: other"))
    pytester.runpytest_inprocess("scenarios", "--fed-baseline=update")
    line = "baselines of scenarios that are gone (pytest-federated prune PATH*"
    for arguments in (["-k", "made"], ["made.yaml"]):  # only the other one is not run
        where = ["scenarios"] if "-k" in arguments else []
        paths = where or [f"scenarios/{arguments.pop()}"]
        result = pytester.runpytest_inprocess(*paths, "--fed-baseline=check", *arguments)
        result.assert_outcomes(passed=1, deselected=len(where))
        result.stdout.no_fnmatch_line(line)
    other.unlink()
    for mode in ("check", "update"):
        result = pytester.runpytest_inprocess("scenarios", f"--fed-baseline={mode}")
        result.stdout.fnmatch_lines([line, "  scenarios/baselines/other.json"])
    assert (pytester.path / "scenarios/baselines/other.json").is_file()
    result = pytester.runpytest_inprocess("scenarios")
    result.stdout.no_fnmatch_line(line)


@pytest.mark.parametrize(
    ("count", "level", "together"),
    [(5, 0.01, ""), (6, 0.05 / 6, " (judged together: 6, false alarm in any: 5 % at most)")],
)
def test_scenarios_share_the_false_alarms_of_the_session(
    pytester: pytest.Pytester,
    made: FakeTrainings,
    monkeypatch: pytest.MonkeyPatch,
    count: int,
    level: float,
    together: str,
) -> None:
    for number in range(1, count):
        other = pytester.path / f"scenarios/other{number}.yaml"
        other.write_text(SCENARIO.replace("name: made", f"name: other{number}"))
    pytester.runpytest_inprocess("scenarios", "--fed-baseline=update")
    levels: list[float] = []

    def compare(*sides: Any, level: float, **options: Any) -> Any:
        levels.append(level)
        return look_twice(*sides, level=level, **options)

    monkeypatch.setattr("pytest_federated.plugin.baselines.look_twice", compare)
    result = pytester.runpytest_inprocess("scenarios", "--fed-baseline=check")
    assert levels == [pytest.approx(level)] * count
    assert [line for line in result.outlines if line.startswith("baselines: ")] == [
        f"baselines: {count} same{together}"
    ]


def test_a_rerun_equals_its_baseline(pytester: pytest.Pytester, updated: FakeTrainings) -> None:
    before = baseline(pytester).read_bytes()
    result = check(pytester, "--junitxml=out.xml")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["baselines: 1 same"])
    again = pytester.runpytest_inprocess("scenarios", "--fed-baseline=update")
    again.stdout.fnmatch_lines(["baselines: 1 unchanged"])
    for run in (result, again):  # what has not changed is counted alone
        run.stdout.no_fnmatch_line("*: made*")
    assert baseline(pytester).read_bytes() == before
    assert 'name="fed_baseline" value="same: made"' in (pytester.path / "out.xml").read_text()


def test_a_regression_fails_and_shows_both(
    pytester: pytest.Pytester, updated: FakeTrainings
) -> None:
    """All expectations hold, and still it is worse than before."""
    file = pytester.path / "scenarios/made.yaml"
    file.write_text(SCENARIO.replace("at_least: 0.88", "at_least: 0.1"))
    updated.accuracies = {0: 0.4, 1: 0.41}
    result = check(pytester, "--fed-report=out")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "accuracy 0.405, baseline 0.9; accuracy_area 0.5763, baseline 0.7; loss 0.595, *",
            "scenarios/made.yaml::made (line 1)",
            "accuracy *>= 0.1 * pass*",
            "metric *baseline *now *difference (10 pairs, 95 %) *margin *verdict",
            "accuracy *0.9 *0.405 *-0.495 (* to *) *0.01 *WORSE",
            "baselines: 1 worse",
            "  worse: made: accuracy 0.9 -> 0.405, accuracy_area *, loss 0.1 -> 0.595",
        ]
    )
    pytester.runpytest_inprocess("scenarios").assert_outcomes(passed=1)  # ignored by default
    assert (
        "worse than the baseline: accuracy, "
        in (pytester.path / "out/pages/scenarios.md").read_text()
    )


def test_an_improvement_is_reported(pytester: pytest.Pytester, updated: FakeTrainings) -> None:
    """Two seeds are too few; --fed-decide runs all ten of the baseline."""
    updated.accuracies = {0: 0.95, 1: 0.96}
    updated.trained.clear()
    result = check(pytester)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["baselines: 1 undecided", "  undecided: made: accuracy 0.9 -> *"])
    assert updated.trained == [0, 1]
    result = check(pytester, "--fed-decide")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["baselines: 1 better", "  better: made: accuracy 0.9 -> 0.955, *"])
    assert updated.trained == [0, 1, *range(10)]


@pytest.mark.parametrize(
    ("fall", "kind", "trained"),
    [
        (0.0, "same", 2),
        (0.05, "worse", 10),
        (-0.05, "undecided", 2),
    ],
)
def test_a_scenario_that_may_be_worse_is_checked_on_more_seeds(
    pytester: pytest.Pytester, updated: FakeTrainings, fall: float, kind: str, trained: int
) -> None:
    """The record and the report have only the scenario's own seeds."""
    file = pytester.path / "scenarios/made.yaml"
    file.write_text(SCENARIO.replace("at_least: 0.88", "at_least: 0.1"))
    updated.accuracies = {s: a - fall + s / 1000 * (fall != 0) for s, a in ((0, 0.89), (1, 0.91))}
    updated.trained.clear()
    result = check(pytester, "--fed-report=out")
    result.stdout.fnmatch_lines([f"baselines: 1 {kind}"])
    assert updated.trained == list(range(trained))
    record = json.loads((pytester.path / "out/records/made.json").read_text())
    assert [h["seed"] for h in record["histories"]] == record["settings"]["seeds"] == [0, 1]


@pytest.mark.parametrize(
    ("policy", "outcomes"),
    [("mean", {"passed": 1}), ("warn", {"passed": 1, "warnings": 1}), ("fail", {"failed": 1})],
)
def test_each_policy_decides_an_undecided_comparison(
    pytester: pytest.Pytester, updated: FakeTrainings, policy: str, outcomes: dict[str, int]
) -> None:
    file = pytester.path / "scenarios/made.yaml"
    file.write_text(SCENARIO.replace("at_least: 0.88", "at_least: 0.1"))
    updated.accuracies = {0: 0.95, 1: 0.96}
    result = check(pytester, f"--fed-inconclusive={policy}")
    result.assert_outcomes(**outcomes)
    if policy == "warn":
        result.stdout.fnmatch_lines(["*Undecided: made: accuracy 0.9 -> 0.955 (*more seed(s)*"])


def test_margins_say_what_matters(pytester: pytest.Pytester, updated: FakeTrainings) -> None:
    file = pytester.path / "scenarios/made.yaml"
    text = SCENARIO.replace("at_least: 0.88", "at_least: 0.1")
    file.write_text(text)
    updated.accuracies = {0: 0.84, 1: 0.86}
    check(pytester).assert_outcomes(failed=1)
    wide = "accuracy=0.2,accuracy_area=0.2,loss=0.9"
    result = check(pytester, f"--fed-margin={wide}")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["baselines: 1 same"])
    own = "baseline: {accuracy: {margin: 0.2}, accuracy_area: {margin: 0.2}, loss: {margin: 0.9}}"
    file.write_text(f"{text}{own}\n")
    result = check(pytester)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["baselines: 1 same"])


@pytest.mark.parametrize("way", ["--fed-baseline=check", "--fed-baseline=update"])
def test_a_margin_of_an_unknown_metric_is_refused_before_anything_is_trained(
    pytester: pytest.Pytester, updated: FakeTrainings, way: str
) -> None:
    result = pytester.runpytest_inprocess("scenarios", way, "--fed-margin=loss=1,acuracy=0.2")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.assert_outcomes()
    result.stderr.fnmatch_lines(["*--fed-margin: got 'acuracy'; *; did you mean 'accuracy'?"])


def test_a_margin_may_be_of_a_metric_of_a_conftest(
    pytester: pytest.Pytester, updated: FakeTrainings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "_entries", {n: metrics[n] for n in metrics.names()})
    (pytester.path / "scenarios/conftest.py").write_text(
        "import pytest_federated\n\n"
        "@pytest_federated.metric('of_mine')\n"
        "def of_mine(history):\n    return 0.5\n"
    )
    result = pytester.runpytest_inprocess(
        "scenarios", "--fed-baseline=update", "--fed-margin=of_mine=0.2"
    )
    result.assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("{acuracy: {margin: 0.1}}", "*made.yaml:10: baseline.acuracy: *did you mean 'accuracy'?"),
        (
            "{epsilon: {margin: 0.1}}",
            "*made.yaml:10: baseline.epsilon: * is not compared, as nothing is expected of it; *",
        ),
        ("{loss: {margin: 0}}", "*made.yaml:10: baseline.loss.margin: *"),
        ("{loss: {}}", "*made.yaml:10: baseline.loss.margin: *"),
    ],
)
def test_a_margin_of_a_metric_that_is_not_compared_is_refused(
    pytester: pytest.Pytester, made: FakeTrainings, section: str, said: str
) -> None:
    (pytester.path / "scenarios/made.yaml").write_text(f"{SCENARIO}baseline: {section}\n")
    result = pytester.runpytest_inprocess("scenarios")
    (result.stderr if result.ret == 4 else result.stdout).fnmatch_lines([said])
    assert result.ret == pytest.ExitCode.USAGE_ERROR


@pytest.mark.parametrize(
    ("arguments", "outcomes", "status"),
    [
        ([], {"passed": 1}, "reported"),
        (["--fed-strict"], {"failed": 1}, "failed"),
        (["--fed-strict", "--fed-baseline=check"], {"passed": 1}, "reported"),
    ],
)
def test_a_scenario_without_expectations_is_reported(
    pytester: pytest.Pytester,
    updated: FakeTrainings,
    arguments: list[str],
    outcomes: dict[str, int],
    status: str,
) -> None:
    (pytester.path / "scenarios/made.yaml").write_text(SCENARIO.partition("expect:")[0])
    outputs = ("-v", "--fed-report=out", "--junitxml=out.xml")
    result = pytester.runpytest_inprocess("scenarios", *outputs, *arguments)
    result.assert_outcomes(**outcomes)
    record = json.loads((pytester.path / "out/records/made.json").read_text())
    assert record["status"] == status
    result.stdout.fnmatch_lines([f"scenarios/made.yaml::made {status.upper()}*"])
    assert f'name="fed_status" value="{status}"' in (pytester.path / "out.xml").read_text()
    if status == "failed":
        result.stdout.fnmatch_lines(["nothing is expected of it: say what under expect, or *"])


def test_seeds_are_added_until_it_is_decided(
    pytester: pytest.Pytester, made: FakeTrainings
) -> None:
    """From two seeds, over a first look at three, to as many as needed."""
    result = pytester.runpytest_inprocess("scenarios", "--fed-decide=6", "--fed-report=out")
    result.assert_outcomes(passed=1)
    assert made.trained == list(range(6))
    record = json.loads((pytester.path / "out/records/made.json").read_text())
    assert len(record["histories"]) == len(record["settings"]["seeds"]) == 6
    assert record["verdicts"][0]["outcome"] == "pass"
    made.trained.clear()
    again = pytester.runpytest_inprocess("scenarios", "--cache-clear")
    again.assert_outcomes(passed=1)
    assert made.trained == [0, 1]


def test_a_baseline_keeps_more_seeds_than_a_check_begins_with(
    pytester: pytest.Pytester, made: FakeTrainings
) -> None:
    """Whatever --fed-seeds says: fewer seeds would make checks weaker."""
    for arguments in ([], ["--fed-seeds=1"], ["--fed-seeds=3"]):
        pytester.runpytest_inprocess("scenarios", "--fed-baseline=update", *arguments)
        assert json.loads(baseline(pytester).read_text())["seeds"] == list(range(10))


def test_changed_settings_make_a_baseline_stale(
    pytester: pytest.Pytester, updated: FakeTrainings
) -> None:
    file = pytester.path / "scenarios/made.yaml"
    file.write_text(SCENARIO.replace("rounds: 3", "rounds: 4, batch_size: 7"))
    result = check(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "baseline of another scenario: training.batch_size was 20, is 7; training.rounds was "
            "3, is 4; --fed-baseline=update rewrites it*",
            "baselines: 1 stale",
        ]
    )
    words = SCENARIO.replace("name: made", "name: made\ndescription: Other words.\ntags: [a]")
    file.write_text(words.replace("0.88", "0.5"))
    check(pytester).assert_outcomes(passed=1)


def test_keys_that_are_newer_than_the_baseline_do_not_make_it_stale(
    pytester: pytest.Pytester, updated: FakeTrainings
) -> None:
    file = baseline(pytester)
    old = json.loads(file.read_text())
    del old["settings"]["training"]["eval_every"]
    file.write_text(json.dumps(old))
    check(pytester).assert_outcomes(passed=1)


def test_another_version_is_named(pytester: pytest.Pytester, updated: FakeTrainings) -> None:
    file = baseline(pytester)
    old = json.loads(file.read_text())
    now, old["versions"]["numpy"] = old["versions"]["numpy"], "1.0"
    file.write_text(json.dumps(old))
    result = check(pytester)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([f"  same: made: since then numpy was 1.0, is {now}"])


@pytest.mark.parametrize(
    ("arguments", "outcomes"), [([], {"passed": 1}), (["--fed-strict"], {"failed": 1})]
)
def test_a_missing_baseline_is_named_and_fails_when_strict(
    pytester: pytest.Pytester, made: FakeTrainings, arguments: list[str], outcomes: dict[str, int]
) -> None:
    result = check(pytester, *arguments)
    result.assert_outcomes(**outcomes)
    result.stdout.fnmatch_lines(
        [MISSING, "  missing: made: baselines/made.json; --fed-baseline=update makes it"]
    )


def changed_file(pytester: pytest.Pytester, change: Callable[[dict[str, Any]], object]) -> None:
    file = baseline(pytester)
    kept = json.loads(file.read_text())
    change(kept)
    file.write_text(json.dumps(kept))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda kept: kept.update(figures={}),
            "*made.json: not a baseline; --fed-baseline=update rewrites it (figures: accuracy*)",
        ),
        (
            lambda kept: kept["figures"].update(accuracy=["nan"] * 10),
            "*made.json: not a baseline; --fed-baseline=update *(figures.accuracy.0: *)",
        ),
        (
            lambda kept: kept["figures"].update(accuracy=[0.89, float("nan")] * 5),
            "*made.json: not a baseline; --fed-baseline=update *(figures.accuracy.1: *)",
        ),
        (
            lambda kept: kept["figures"].update(acuracy=[0.1] * 10),
            "baseline of other figures: acuracy is not measured now; --fed-baseline=update re*",
        ),
        (
            lambda kept: kept["figures"].update(accuracy=[-1, -2] * 5),
            "baseline of other figures: accuracy is not between 0 and 1 there; --fed-baseline=*",
        ),
        (
            lambda kept: kept.update(id="other"),
            "*made.json: baseline of 'other', not of 'made'; --fed-baseline=update rewrites it",
        ),
        (
            lambda kept: kept["settings"].clear(),
            "baseline of another scenario: clients.attacks was not there, is null;*",
        ),
    ],
)
def test_an_invalid_baseline_fails_and_is_rewritten(
    pytester: pytest.Pytester,
    updated: FakeTrainings,
    change: Callable[[dict[str, Any]], object],
    said: str,
) -> None:
    before = baseline(pytester).read_bytes()
    changed_file(pytester, change)
    for strict in ([], ["--fed-strict"]):
        result = check(pytester, *strict)
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines([said])
        result.stdout.no_fnmatch_line("*Traceback*")
    again = pytester.runpytest_inprocess("scenarios", "--fed-baseline=update")
    again.assert_outcomes(passed=1)
    assert baseline(pytester).read_bytes() == before


MORE = SCENARIO + "  best_accuracy: {at_least: 0.1}\n"


@pytest.mark.parametrize(
    ("arguments", "outcomes"), [([], {"passed": 1}), (["--fed-strict"], {"failed": 1})]
)
def test_a_new_expectation_is_not_compared(
    pytester: pytest.Pytester,
    updated: FakeTrainings,
    arguments: list[str],
    outcomes: dict[str, int],
) -> None:
    (pytester.path / "scenarios/made.yaml").write_text(MORE)
    result = check(pytester, *arguments)
    result.assert_outcomes(**outcomes)
    message = "best_accuracy not compared; --fed-baseline=update adds it"
    result.stdout.fnmatch_lines(["baselines: 1 incomplete", f"  incomplete: made: {message}"])
    if arguments:
        result.stdout.fnmatch_lines([f"baseline incomplete: {message}"])
    updated.accuracies = {0: 0.4, 1: 0.41}
    (pytester.path / "scenarios/made.yaml").write_text(MORE.replace("0.88", "0.1"))
    worse = check(pytester, *arguments)
    worse.assert_outcomes(failed=1)
    worse.stdout.fnmatch_lines([f"  worse: made: accuracy 0.9 -> 0.405, *; incomplete {message}"])


@pytest.mark.parametrize("other", ["", "  accuracy_area: {at_least: 0.1}\n"])
def test_a_removed_or_renamed_expectation_makes_a_baseline_stale(
    pytester: pytest.Pytester, made: FakeTrainings, other: str
) -> None:
    file = pytester.path / "scenarios/made.yaml"
    file.write_text(MORE)
    pytester.runpytest_inprocess("scenarios", "--fed-baseline=update")
    file.write_text(SCENARIO + other)
    result = check(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "baseline of other figures: best_accuracy is not measured now; --fed-baseline=update*",
            "baselines: 1 stale",
            "  stale: made: best_accuracy is not measured now; accuracy 0.9 -> 0.9, *",
        ]
    )


def test_another_target_is_another_figure(pytester: pytest.Pytester, made: FakeTrainings) -> None:
    file = pytester.path / "scenarios/made.yaml"
    text = SCENARIO + "  rounds_to_accuracy: {target: 0.6, at_most: 3}\n"
    file.write_text(text)
    pytester.runpytest_inprocess("scenarios", "--fed-baseline=update")
    check(pytester).assert_outcomes(passed=1)
    file.write_text(text.replace("0.6", "0.5"))  # reached earlier, which must not count as better
    result = check(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["  stale: made: rounds_to_accuracy.target was 0.6, is 0.5; *"])


@pytest.mark.parametrize(
    ("arguments", "outcomes"), [([], {"passed": 1}), (["--fed-strict"], {"failed": 1})]
)
@pytest.mark.parametrize("accuracy", [0.9, 0.3])
def test_one_seed_is_not_compared_with_another(
    pytester: pytest.Pytester,
    made: FakeTrainings,
    arguments: list[str],
    outcomes: dict[str, int],
    accuracy: float,
) -> None:
    file = pytester.path / "scenarios/made.yaml"
    text = SCENARIO.replace("at_least: 0.88", "at_least: 0.1")
    file.write_text(text.replace("[0, 1]", "[0]"))
    pytester.runpytest_inprocess("scenarios", "--fed-baseline=update")
    changed_file(pytester, _with_its_first_seed_only)
    file.write_text(text.replace("[0, 1]", "[1]"))
    made.accuracies = {1: accuracy}
    result = check(pytester, *arguments)
    result.assert_outcomes(**outcomes)
    reason = (
        "the baseline has seed 0, this run seed 1: a single seed is compared with the same seed "
        "only; --fed-baseline=update rewrites the baseline"
    )
    result.stdout.fnmatch_lines(["baselines: 1 not compared", f"  not compared: made: {reason}"])
    if arguments:
        result.stdout.fnmatch_lines([f"baseline not compared: {reason}"])


def _with_its_first_seed_only(kept: dict[str, Any]) -> None:
    kept["seeds"] = kept["seeds"][:1]
    kept["figures"] = {name: figures[:1] for name, figures in kept["figures"].items()}


def test_a_seed_that_the_baseline_lacks_says_what_to_do(
    pytester: pytest.Pytester, updated: FakeTrainings
) -> None:
    (pytester.path / "scenarios/made.yaml").write_text(SCENARIO.replace("[0, 1]", "[20]"))
    result = check(pytester)
    result.stdout.fnmatch_lines(["  not compared: made: the baseline has seeds 0, 1, *, this run*"])
    result.stdout.fnmatch_lines(["*; --fed-seeds=2 runs another, --fed-baseline=update rewrites*"])
    check(pytester, "--fed-seeds=2").stdout.fnmatch_lines(["baselines: 1 undecided"])


def test_an_invalid_baseline_is_not_written(
    pytester: pytest.Pytester, updated: FakeTrainings
) -> None:
    file = baseline(pytester)
    file.unlink()
    file.mkdir()
    for mode, said in (
        (
            "check",
            "*made.json: cannot be read: it is a folder; remove it, and --fed-baseline=update *",
        ),
        ("update", "*made.json: cannot be written: Is a directory"),
    ):
        result = pytester.runpytest_inprocess("scenarios", f"--fed-baseline={mode}")
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines([said])
        result.stdout.no_fnmatch_line("*Traceback*")


def test_a_failing_scenario_does_not_become_a_baseline(
    pytester: pytest.Pytester, updated: FakeTrainings
) -> None:
    before = baseline(pytester).read_bytes()
    updated.accuracies = {0: 0.2, 1: 0.21}
    result = pytester.runpytest_inprocess("scenarios", "--fed-baseline=update", "--cache-clear")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["baselines: 1 kept", "  kept: made: the run is failed"])
    assert baseline(pytester).read_bytes() == before


def test_a_cut_off_run_is_not_compared(pytester: pytest.Pytester, updated: FakeTrainings) -> None:
    result = check(pytester, "--fed-rounds=1")
    result.stdout.fnmatch_lines(["  not compared: made: cut short after 1 of 3 rounds"])


def test_the_fixture_keeps_baselines_next_to_the_test(
    pytester: pytest.Pytester, updated: FakeTrainings
) -> None:
    baseline(pytester).parent.rename(pytester.path / "baselines")
    file = pytester.makepyfile(
        """
        def test_it(federated):
            federated({
                "name": "made",
                "data": {"dataset": "digits"},
                "clients": {"count": 4},
                "model": {"kind": "mlp", "hidden": [16]},
                "training": {"rounds": 3},
                "seeds": [0, 1],
            })
        """
    )
    updated.accuracies = {0: 0.4, 1: 0.41}
    result = pytester.runpytest_inprocess(file, "--fed-baseline=check", "--cache-clear")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["  worse: made: accuracy 0.9 -> 0.405, *"])


@pytest.mark.parametrize(
    ("arguments", "early"),
    [
        ([], False),
        (["--fed-early-stop"], True),
        (["--fed-early-stop", "--fed-baseline=check"], False),
    ],
)
def test_baselines_need_all_rounds(
    pytester: pytest.Pytester, arguments: list[str], early: bool
) -> None:
    config = pytester.parseconfig(*arguments)
    assert run_options(config).early_stop is early


NO_EFFECT = "--fed-early-stop had no effect on "
CLEAR = SCENARIO.replace("accuracy:", "best_accuracy:")
TUNED = CLEAR.replace("name: made", "name: tuned") + (
    "tune: {by: test, keys: {training.local_epochs: [1, 2]}}\n"
)
COMPARED = CLEAR.replace("name: made", "name: compared") + "  gain_over_local: {at_least: -1}\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--fed-early-stop"], "1 scenario(s): compared with another training"),
        (
            ["--fed-early-stop", "other.scenario.yaml"],
            "2 scenario(s): compared with another training (1), tuned (1)",
        ),
        (["--fed-early-stop", "-n1"], "1 scenario(s): compared with another training"),
        (["--fed-early-stop", "--fed-baseline=update"], "2 scenario(s): compared with baselines"),
        (["--fed-early-stop", "--fed-inconclusive=pass"], "2 scenario(s): judged by intervals"),
        (["--fed-early-stop", "--fed-rounds=2"], "2 scenario(s): cut short"),
        (["--fed-early-stop", "--fed-benchmark"], "2 scenario(s): benchmarked"),
        (["--fed-early-stop", "--fed-decide=4"], "2 scenario(s): seeds may be added"),
        (["--fed-early-stop", "-k", "not compared"], ""),
        ([], ""),
    ],
)
def test_scenarios_that_need_all_rounds_are_counted(
    pytester: pytest.Pytester, made: FakeTrainings, arguments: list[str], said: str
) -> None:
    (pytester.path / "scenarios/made.yaml").write_text(f"{CLEAR}---\n{COMPARED}")
    (pytester.path / "other.scenario.yaml").write_text(TUNED)
    result = pytester.runpytest_inprocess("scenarios", *arguments)
    if said:
        result.stdout.fnmatch_lines([NO_EFFECT + said])
    else:
        result.stdout.no_fnmatch_line(f"{NO_EFFECT}*")
