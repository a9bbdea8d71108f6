"""The options of the plugin: parsed once, the same from the command line and the ini file."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any, Optional

import pytest
from pytest_federated.core import cores
from pytest_federated.core.errors import NotKept
from pytest_federated.plugin.options import (
    SETTINGS,
    SWITCHES,
    SessionOptions,
    run_options,
    session_options,
    use_cluster,
)

VALUES = {
    "seeds": ("3", 3),
    "rounds": ("2", 2),
    "executor": ("dask://host:1", "dask://host:1"),
    "workers": ("a:1,b:2", ("a:1", "b:2")),
    "timeout": ("9", 9),
    "checkpoint": ("4", 4),
    "inconclusive": ("warn", "warn"),
    "baseline": ("check", "check"),
    "decide": ("9", 9),
    "against": ("main", "main"),
    "margin": ("accuracy=0.02, loss=0.1", {"accuracy": 0.02, "loss": 0.1}),
}
# What an option needs to be of use.
COMPANIONS = {"margin": ["--fed-baseline=check"], "workers_tls": ["--fed-workers=a:1"]}


def test_without_options_the_defaults_apply(pytester: pytest.Pytester) -> None:
    assert session_options(pytester.parseconfig()) == SessionOptions()


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda s: s.name)
def test_a_value_is_the_same_from_both_places(pytester: pytest.Pytester, setting: Any) -> None:
    text, value = VALUES.get(setting.name, ("folder", pytester.path / "folder"))
    companions = COMPANIONS.get(setting.name, [])
    flag = session_options(pytester.parseconfig(f"{setting.flag}={text}", *companions))
    ini = session_options(pytester.parseconfig("-o", f"fed_{setting.name}={text}"))
    assert getattr(flag, setting.name) == getattr(ini, setting.name) == value


def test_a_flag_alone_may_stand_for_a_value(pytester: pytest.Pytester) -> None:
    assert session_options(pytester.parseconfig("--fed-decide")).decide == 20


@pytest.mark.parametrize("switch", SWITCHES, ids=lambda s: s.flag)
def test_a_switch_is_the_same_from_both_places(pytester: pytest.Pytester, switch: Any) -> None:
    key = switch.flag.lstrip("-").replace("-", "_")
    for arguments in ([switch.flag], ["-o", f"{key}=true"]):
        assert getattr(session_options(pytester.parseconfig(*arguments)), key[4:]) is True


def test_a_folder_is_relative_to_where_it_is_written(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nfed_report = out\n")
    below = pytester.mkdir("below")
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(below)
        config = pytester.parseconfig("--rootdir", str(pytester.path), "--fed-mlflow=out")
    options = session_options(config)
    assert (options.report, options.mlflow) == (pytester.path / "out", below / "out")


@pytest.mark.parametrize(
    ("flag", "text", "message"),
    [
        ("--fed-seeds", "0", "got '0'; must be 1 or greater"),
        ("--fed-rounds", "two", "got 'two'; must be 1 or greater"),
        ("--fed-executor", "dask:1", "got 'dask:1'; allowed: dask://HOST:PORT"),
        ("--fed-workers", "a", "'a'"),
        ("--fed-baseline", "chek", "chek"),
        ("--fed-decide", "scenarios", "must be 1 or greater; write --fed-decide=MOST, or the flag"),
        ("--fed-margin", "accuracy", "got 'accuracy'; must be METRIC=NUMBER"),
        ("--fed-margin", "accuracy=0", "got 'accuracy=0'; must be METRIC=NUMBER"),
        ("--fed-margin", "accuracy=nan", "got 'accuracy=nan'; must be METRIC=NUMBER"),
        ("--fed-margin", "accuracy=0.1,", "got 'accuracy=0.1,'; must be METRIC=NUMBER"),
        ("--fed-margin", "accuracy=inf", "got 'accuracy=inf'; must be METRIC=NUMBER"),
        ("--fed-margin", "=0.1", "got '=0.1'; must be METRIC=NUMBER"),
    ],
)
def test_a_value_that_is_not_allowed_is_refused(
    pytester: pytest.Pytester,
    capsys: pytest.CaptureFixture[str],
    flag: str,
    text: str,
    message: str,
) -> None:
    with pytest.raises((pytest.UsageError, SystemExit)) as error:
        pytester.parseconfig(f"{flag}={text}")
    assert message in str(error.value) + capsys.readouterr().err
    key = flag.lstrip("-").replace("-", "_")
    with pytest.raises(pytest.UsageError, match=f"{key} in .*{text}"):
        session_options(pytester.parseconfig("-o", f"{key}={text}"))


@pytest.mark.parametrize("key", ["seeds", "rounds", "timeout", "checkpoint", "decide"])
def test_one_is_the_least_number(pytester: pytest.Pytester, key: str) -> None:
    options = session_options(pytester.parseconfig(f"--fed-{key}=1"))
    assert getattr(options, key) == 1


def test_an_empty_value_in_the_ini_file_is_none(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nfed_report =\nfed_seeds =\n")
    assert session_options(pytester.parseconfig()) == SessionOptions()


@pytest.mark.parametrize(
    ("arguments", "name", "value"),
    [
        ([], "reuse", True),
        (["--fed-no-cache"], "reuse", False),
        ([], "keep_models", False),
        (["--fed-save-models=out"], "keep_models", True),
        ([], "early_stop", False),
        (["--fed-early-stop"], "early_stop", True),
        # A comparison needs all rounds.
        (["--fed-early-stop", "--fed-baseline=check"], "early_stop", False),
        (["--fed-early-stop", "--fed-baseline=update"], "early_stop", False),
        (["--fed-early-stop", "--fed-baseline=ignore"], "early_stop", True),
        (["--fed-early-stop", "--fed-against=main"], "early_stop", False),
        (["--fed-data-cache=/data"], "cache", Path("/data")),
    ],
)
def test_scenarios_run_with_what_the_options_say(
    pytester: pytest.Pytester, arguments: list[str], name: str, value: Any
) -> None:
    assert getattr(run_options(pytester.parseconfig(*arguments)), name) == value


@pytest.mark.parametrize(("processes", "threads"), [(None, None), ("1", 5), ("2", 2), ("9", 1)])
def test_processes_of_xdist_share_the_cores(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    processes: Optional[str],
    threads: Optional[int],
) -> None:
    monkeypatch.setattr(cores, "cores", lambda: 5)
    monkeypatch.delenv("PYTEST_XDIST_WORKER_COUNT", raising=False)
    if processes:
        monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", processes)
    assert run_options(pytester.parseconfig()).threads == threads


@pytest.mark.parametrize("baseline", ["check", "update"])
def test_a_comparison_is_with_a_revision_or_with_files(
    pytester: pytest.Pytester, baseline: str
) -> None:
    config = pytester.parseconfig("--fed-against=main", f"--fed-baseline={baseline}")
    with pytest.raises(pytest.UsageError, match=f"that --fed-baseline={baseline} is about"):
        session_options(config)


@pytest.mark.parametrize(
    ("option", "others"),
    [
        ("--fed-margin=loss=0.1", ["--fed-baseline=check", "--fed-baseline=update"]),
        ("--fed-margin=loss=0.1", ["--fed-against=main"]),
        ("--fed-workers-tls=key.pem", ["--fed-workers=a:1"]),
    ],
)
def test_an_option_that_would_have_no_effect_is_refused(
    pytester: pytest.Pytester, option: str, others: list[str]
) -> None:
    for other in others:
        assert session_options(pytester.parseconfig(option, other))
    flag = option.partition("=")[0]
    with pytest.raises(pytest.UsageError, match=f"^{flag} has no effect without --fed-"):
        session_options(pytester.parseconfig(option))


def test_the_ini_file_may_have_what_is_of_use_in_other_sessions(
    pytester: pytest.Pytester,
) -> None:
    pytester.makeini("[pytest]\nfed_margin = loss=0.1\nfed_workers_tls = key.pem\n")
    options = session_options(pytester.parseconfig())
    assert (options.margin, options.workers) == ({"loss": 0.1}, ())


@pytest.mark.parametrize("option", ["--fed-resume", "--fed-checkpoint=5"])
def test_checkpoints_need_the_cache_of_pytest(pytester: pytest.Pytester, option: str) -> None:
    assert session_options(pytester.parseconfig(option))
    flag = option.partition("=")[0]
    with pytest.raises(pytest.UsageError, match=f"{flag} keeps checkpoints in pytest's cache"):
        session_options(pytester.parseconfig(option, "-p", "no:cacheprovider"))


def test_a_cache_that_cannot_be_written_costs_no_run(pytester: pytest.Pytester) -> None:
    (pytester.path / "file").write_text("in place of a folder")
    config = pytester.parseconfigure("-o", "cache_dir=file")
    with pytest.warns(NotKept, match="pytest's cache cannot be written: Not a directory"):
        store = run_options(config).store
    assert store.checkpoints("0" * 64, "s", 0) is None


def test_options_are_parsed_once_and_trainings_are_shared(pytester: pytest.Pytester) -> None:
    config = pytester.parseconfig("--fed-seeds=2")
    assert session_options(config) is session_options(config)
    first = run_options(config)
    assert run_options(config) is first
    cluster: Any = object()
    use_cluster(config, cluster)
    assert run_options(config).cluster is cluster
    use_cluster(config, None)
    assert run_options(config) == first
    assert run_options(config).store is first.store
    assert run_options(pytester.parseconfig()).store is not first.store


def test_without_the_cache_plugin_nothing_is_written(pytester: pytest.Pytester) -> None:
    config = pytester.parseconfig("-p", "no:cacheprovider")
    store = run_options(config).store
    assert store.checkpoints("0" * 64, "s", 0) is None
    with store.claim("0" * 64):
        assert store.read("0" * 64) is None
    assert not list(Path(pytester.path).rglob("lock"))


def test_the_table_has_every_field_of_the_options() -> None:
    names = [option.name for option in (*SETTINGS, *SWITCHES)]
    assert sorted(names) == sorted(field.name for field in fields(SessionOptions))
