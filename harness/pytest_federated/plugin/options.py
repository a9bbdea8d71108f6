"""What the command line and the ini file say: one table of options, parsed once a session."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Literal, NamedTuple, Optional

import pytest

from pytest_federated.core.errors import FederatedError, warn_not_kept

# Only the table is read in every session; the rest is imported where a scenario was found.
if TYPE_CHECKING:
    from pytest_federated.expectations.judging import Policy
    from pytest_federated.running.options import Cluster, Options


@dataclass(frozen=True)
class SessionOptions:
    """The options of a session, each named as on the command line, without ``--fed-``."""

    report: Optional[Path] = None
    tensorboard: Optional[Path] = None
    mlflow: Optional[Path] = None
    save_models: Optional[Path] = None
    seeds: Optional[int] = None
    rounds: Optional[int] = None
    data_cache: Optional[Path] = None
    executor: Optional[str] = None
    workers: tuple[str, ...] = ()
    workers_tls: Optional[Path] = None
    timeout: Optional[int] = None
    checkpoint: Optional[int] = None
    inconclusive: Policy = "mean"
    decide: Optional[int] = None
    baseline: Literal["check", "update", "ignore"] = "ignore"
    margin: Mapping[str, float] = field(default_factory=dict[str, float])
    against: Optional[str] = None
    strict: bool = False
    no_user_code: bool = False
    no_cache: bool = False
    benchmark: bool = False
    early_stop: bool = False
    resume: bool = False

    @property
    def compares(self) -> bool:
        """Whether figures are compared with baselines, or with those of a revision."""
        return self.baseline != "ignore" or bool(self.against)


class Setting(NamedTuple):
    """An option that has a value.

    Attributes:
        flag: on the command line; in the ini file without the dashes in front, and with
            underscores.
        metavar: what help shows for the value.
        help: what help says.
        parse: from its text to its value; raises ValueError with what is wrong, and allowed.
        choices: the words that are allowed; any text when empty.
        is_path: whether it is a file or folder, which is relative to where pytest was started, or
            in the ini file to the root folder.
        default: the text that the flag alone stands for; None where it needs a value.

    """

    flag: str
    metavar: str
    help: str
    parse: Callable[[str], Any] = str
    choices: tuple[str, ...] = ()
    is_path: bool = False
    default: Optional[str] = None

    @property
    def name(self) -> str:
        """The field of `SessionOptions`."""
        return _field(self.flag)


class Switch(NamedTuple):
    """An option that is on or off; attributes as for `Setting`."""

    flag: str
    help: str

    @property
    def name(self) -> str:
        """The field of `SessionOptions`."""
        return _field(self.flag)


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise ValueError(f"got {text!r}; must be 1 or greater")
    return int(text)


def _most(text: str) -> int:
    try:
        return _positive(text)
    except ValueError as error:
        raise ValueError(
            f"{error}; write --fed-decide=MOST, or the flag alone after paths"
        ) from None


def _margins(text: str) -> dict[str, float]:
    """Reads ``accuracy=0.02,loss=0.1``."""
    margins: dict[str, float] = {}
    for part in text.split(","):
        name, _, number = part.partition("=")
        try:
            margins[name.strip()] = margin = float(number)
        except ValueError:
            margin = math.nan
        if not (name.strip() and 0 < margin < math.inf):
            raise ValueError(
                f"got {text!r}; must be METRIC=NUMBER, such as accuracy=0.02, greater than 0, "
                "several with commas between"
            )
    return margins


def _executor(text: str) -> str:
    from pytest_federated.running.dask import is_address

    if not is_address(text):
        raise ValueError(f"got {text!r}; allowed: dask://HOST:PORT")
    return text


def _workers(text: str) -> tuple[str, ...]:
    from pytest_federated.tff.addresses import parse_addresses

    try:
        return parse_addresses(text)
    except FederatedError as error:
        raise ValueError(str(error)) from None


SETTINGS = (
    Setting(
        "--fed-report",
        "DIR",
        "write a Markdown report and result records into DIR",
        is_path=True,
    ),
    Setting(
        "--fed-tensorboard",
        "DIR",
        "write the figures of all rounds into DIR for TensorBoard",
        is_path=True,
    ),
    Setting(
        "--fed-mlflow",
        "DIR",
        "log each training as an MLflow run, in the file store DIR",
        is_path=True,
    ),
    Setting(
        "--fed-save-models",
        "DIR",
        "train all scenarios, and write the final model of each seed into DIR",
        is_path=True,
    ),
    Setting(
        "--fed-seeds", "N", "run N seeds of each scenario instead of those it lists", _positive
    ),
    Setting(
        "--fed-rounds", "N", "stop after N rounds; what this cuts short is not judged", _positive
    ),
    Setting(
        "--fed-data-cache",
        "DIR",
        "where downloaded data is kept (default: the user's cache folder)",
        is_path=True,
    ),
    Setting(
        "--fed-executor",
        "dask://HOST:PORT",
        "run the trainings on the machines of this Dask scheduler",
        _executor,
    ),
    Setting(
        "--fed-workers",
        "HOST:PORT,...",
        "run on these TFF workers (pytest-federated worker) instead of one on this machine",
        _workers,
    ),
    Setting(
        "--fed-workers-tls",
        "FILE",
        "encrypt the connections to these workers, by their key file (worker --tls FILE)",
        is_path=True,
    ),
    Setting(
        "--fed-timeout",
        "SECONDS",
        "fail a scenario that takes longer than this; the import of TFF is not counted",
        _positive,
    ),
    Setting(
        "--fed-checkpoint",
        "N",
        "keep the state of a training every N rounds (default: every 30 seconds)",
        _positive,
    ),
    Setting(
        "--fed-inconclusive",
        "mean|fail|pass|warn",
        "what decides where the interval of a mean holds the threshold (default: the mean)",
        choices=("mean", "fail", "pass", "warn"),
    ),
    Setting(
        "--fed-decide",
        "MOST",
        "add seeds to a scenario while it is undecided, up to MOST of them (default: 20)",
        _most,
        default="20",
    ),
    Setting(
        "--fed-baseline",
        "check|update|ignore",
        "compare with the baselines beside the scenario files, or write them (default: ignore)",
        choices=("check", "update", "ignore"),
    ),
    Setting(
        "--fed-margin",
        "METRIC=NUMBER,...",
        "the least differences from a baseline that matter, in place of those of the files",
        _margins,
    ),
    Setting(
        "--fed-against",
        "REVISION",
        "compare with the same scenarios run with the code of this git revision",
    ),
)

SWITCHES = (
    Switch(
        "--fed-strict",
        "fail scenarios that have nothing to judge, whose data is not on this machine (otherwise "
        "skipped), or that --fed-baseline=check cannot compare",
    ),
    Switch("--fed-no-user-code", "refuse scenario files that name code (module:function)"),
    Switch("--fed-no-cache", "run trainings again that have not changed since they were run"),
    Switch("--fed-benchmark", "judge expectations of wall time, too; trains them again"),
    Switch("--fed-early-stop", "end a scenario once it can no longer pass, or no longer fail"),
    Switch("--fed-resume", "go on from the last checkpoint, also with more rounds than before"),
)

_OPTIONS = pytest.StashKey[SessionOptions]()
_RUN_OPTIONS = pytest.StashKey["Options"]()


def add_options(parser: pytest.Parser) -> None:
    """Declares the options, each also as a key under [tool.pytest.ini_options]."""
    group = parser.getgroup("federated", "federated learning scenarios (pytest-federated)")
    for setting in SETTINGS:
        more: dict[str, Any] = (
            {"choices": setting.choices} if setting.choices else {"type": _checked(setting)}
        )
        if setting.default is not None:
            more |= {"nargs": "?", "const": setting.default}
        group.addoption(
            setting.flag, metavar=setting.metavar, default=None, help=setting.help, **more
        )
        parser.addini(_ini_key(setting.flag), setting.help, default=None)
    for switch in SWITCHES:
        group.addoption(switch.flag, action="store_true", default=None, help=switch.help)
        parser.addini(_ini_key(switch.flag), switch.help, type="bool", default=False)


def session_options(config: pytest.Config) -> SessionOptions:
    """Returns what the command line says, or else the ini file; parsed when first asked for.

    Raises:
        pytest.UsageError: the ini file has a value that is not allowed.
    """
    if _OPTIONS not in config.stash:
        values = {setting.name: _value(config, setting) for setting in SETTINGS}
        for switch in SWITCHES:
            values[switch.name] = is_on(config, switch.flag)
        options = SessionOptions(
            **{name: value for name, value in values.items() if value is not None}
        )
        if options.against and options.baseline != "ignore":
            raise pytest.UsageError(
                "--fed-against compares with a revision, in place of the files that "
                f"--fed-baseline={options.baseline} is about; leave one of them out"
            )
        for option, other, is_of_use in (
            ("--fed-margin", "--fed-baseline=check or --fed-against", options.compares),
            ("--fed-workers-tls", "--fed-workers", bool(options.workers)),
        ):
            # The ini file may have it for the sessions in which it is of use.
            if config.getoption(_ini_key(option)) is not None and not is_of_use:
                raise pytest.UsageError(f"{option} has no effect without {other}")
        for option, is_asked in (
            ("--fed-resume", options.resume),
            ("--fed-checkpoint", options.checkpoint is not None),
        ):
            if is_asked and not config.pluginmanager.has_plugin("cacheprovider"):
                raise pytest.UsageError(
                    f"{option} keeps checkpoints in pytest's cache, which -p no:cacheprovider "
                    "turns off; leave one of them out"
                )
        config.stash[_OPTIONS] = options
    return config.stash[_OPTIONS]


def is_on(config: pytest.Config, flag: str) -> bool:
    """Returns whether a switch is on, without a look at other options.

    For collection, in which a mistake in another option would be an error of some file.
    """
    key = _ini_key(flag)
    return bool(config.getoption(key) or config.getini(key))


def run_options(config: pytest.Config) -> Options:
    """Returns what scenarios of this session are run with, the same at each call.

    Raises:
        pytest.UsageError: as `session_options`.
    """
    if _RUN_OPTIONS not in config.stash:
        use_cluster(config, None)
    return config.stash[_RUN_OPTIONS]


def use_cluster(config: pytest.Config, cluster: Optional[Cluster]) -> None:
    """Has the scenarios of this session run on a cluster from now on; here with None.

    Raises:
        pytest.UsageError: as `session_options`.
    """
    if _RUN_OPTIONS in config.stash:
        config.stash[_RUN_OPTIONS] = replace(config.stash[_RUN_OPTIONS], cluster=cluster)
        return
    from pytest_federated.running.options import Options, default_cache
    from pytest_federated.running.store import Store

    session = session_options(config)
    config.stash[_RUN_OPTIONS] = Options(
        seeds=session.seeds,
        rounds=session.rounds,
        threads=_threads(),
        workers=session.workers,
        workers_tls=session.workers_tls,
        cache=session.data_cache or default_cache(),
        store=Store(store_folder(config)),
        reuse=not session.no_cache,
        resume=session.resume,
        checkpoint_every=session.checkpoint,
        timeout=session.timeout,
        cluster=cluster,
        inconclusive=session.inconclusive,
        decide=session.decide,
        benchmark=session.benchmark,
        keep_models=session.save_models is not None,
        early_stop=session.early_stop and not session.compares,  # which needs all rounds
    )


def is_quiet(config: pytest.Config) -> bool:
    """Whether TensorFlow's start-up messages are kept from the terminal: all but ``-vv``."""
    return config.get_verbosity() < 2


def _ini_key(flag: str) -> str:
    return flag.lstrip("-").replace("-", "_")


def _field(flag: str) -> str:
    return _ini_key(flag)[len("fed_") :]


def _checked(setting: Setting) -> Callable[[str], str]:
    """Checks a value of the command line, and leaves the text, which xdist can send."""

    def check(text: str) -> str:
        try:
            setting.parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None
        return text

    return check


def _value(config: pytest.Config, setting: Setting) -> Any:
    """Parses the value of the command line, or else of the ini file; None where none has one.

    Raises:
        pytest.UsageError: the value is not allowed.
    """
    key = _ini_key(setting.flag)
    text, base = config.getoption(key), config.invocation_params.dir
    if text is None:
        text, base = config.getini(key), config.rootpath
    if text is None or text == "":
        return None
    if setting.is_path:
        return base / text
    try:
        return _one_of(text, setting.choices) if setting.choices else setting.parse(text)
    except ValueError as error:
        raise pytest.UsageError(f"{key} in {config.inipath}: {error}") from None


def _one_of(text: str, choices: Sequence[str]) -> str:
    from pytest_federated.core.suggestions import suggest

    if text not in choices:
        raise ValueError(f"got {text!r}; {suggest(text, choices)}")
    return text


def store_folder(config: pytest.Config) -> Optional[Path]:
    """Returns a folder of pytest's cache, which ``--cache-clear`` empties; None where it is off."""
    from pytest_federated.running.store import FOLDER

    cache = getattr(config, "cache", None)
    if cache is None:
        return None
    try:
        return Path(cache.mkdir(FOLDER))
    except OSError as error:
        warn_not_kept("pytest's cache", error)
        return None


def _threads() -> Optional[int]:
    """Returns, under xdist, each process's share of the cores; otherwise no limit."""
    from pytest_federated.core.cores import cores

    processes = os.environ.get("PYTEST_XDIST_WORKER_COUNT")
    return max(1, cores() // int(processes)) if processes else None
