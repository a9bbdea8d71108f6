"""What all tests share: TFF and its worker, and the marker of the tests that need them."""

from __future__ import annotations

import gc
import importlib
import importlib.abc
import importlib.util
import itertools
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterator
from importlib import metadata
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any, Optional

import forked_programs
import pytest
from _pytest import config as pytest_config
from _pytest import fixtures
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

# The slowest test files, slowest first.
_LONGEST = (
    "hygiene",
    "remote",
    "packed",
    "outcomes",
    "long_runs",
    "own_folders",
    "models",
    "plugin",
)
# A test that uses one of these trains, or imports TensorFlow, here or in a program of its own.
_NEED_TFF = {"tff", "tff_programs"}
_WITHOUT_PLUGINS = "-p no:hypothesispytest -p no:anyio -p no:randomly"
# Plugins of pytest itself that no pytest in a test's process uses; each would load them anew.
_UNUSED = {
    *("doctest", "faulthandler", "legacypath", "logging", "pastebin", "recwarn", "setuponly"),
    *("setupplan", "stepwise", "subtests", "threadexception", "unittest"),
    "unraisableexception",
}
# What a run imports late. After each run in this process pytester removes new modules from
# sys.modules; without this, each run would import them again.
_OF_RUNS = (
    "matplotlib.backends.backend_svg",
    "matplotlib.figure",
    "pytest_federated.data.datasets.bundled.packaged",
    "pytest_federated.data.datasets.tff.published",
    "pytest_federated.plugin.collection",
    "pytest_federated.plugin.execution",
    "pytest_federated.plugin.fixture",
    "pytest_federated.plugin.item",
    "pytest_federated.plugin.selection",
    "pytest_federated.plugin.summary",
    "pytest_federated.report.github",
    "pytest_federated.report.leftovers",
    "pytest_federated.report.mlflow",
    "pytest_federated.report.pages",
    "pytest_federated.running.dask",
    "rich.progress",
    "scipy.special",
)

_TENSORFLOW = {"tensorflow", "tensorflow_federated"}

# The garbage collector takes a tenth of the time if it runs as often as by default. With TensorFlow
# it does: few objects hold much memory there.
_DEFAULT_THRESHOLDS = gc.get_threshold()
gc.set_threshold(20_000, 20, 20)

# How many examples Hypothesis tries for each property. CI runs the fast tests once with
# --hypothesis-profile=thorough; "search" looks for what these two never tried. No deadline, and
# no limit to how long it takes to draw examples: they would depend on the machine, and on what else
# it does. Derandomized: a commit passes or fails for good.
_UNTIMED: dict[str, Any] = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("quick", max_examples=10, derandomize=True, **_UNTIMED)
settings.register_profile("thorough", max_examples=50, derandomize=True, **_UNTIMED)
settings.register_profile("search", max_examples=1000, **_UNTIMED)
settings.load_profile("quick")
# Hypothesis also draws constants that it reads in the modules imported so far, which depend on the
# tests that ran before in the same process.
if hasattr(providers, "_get_local_constants"):
    providers._get_local_constants = lambda: providers._local_constants

_numbers = itertools.count()  # of temporary folders
_imports_of_tensorflow: list[str] = []  # by unmarked tests
_hidden: dict[str, ModuleType] = {}  # TensorFlow, while an unmarked test runs
_current_test: list[pytest.Item] = []
_begun: set[Path] = set()  # files whose tests have run


def pytest_configure() -> None:
    """Lets Ctrl-C and a closing terminal reach this process and the programs that tests start.

    A shell ignores SIGINT in its background jobs, nohup ignores SIGHUP, and child processes
    inherit that.
    """
    handlers = {signal.SIGINT: signal.default_int_handler, signal.SIGHUP: signal.SIG_DFL}
    for number, handler in handlers.items():
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, handler)
    _number_folders()
    _remember_installed_packages()
    _remember_plugins()


def _number_folders() -> None:
    """Numbers temporary folders from 0; to find a free number, pytest lists them for each test."""
    for_all = pytest.TempPathFactory.mktemp

    def mktemp(self: pytest.TempPathFactory, basename: str, numbered: bool = True) -> Path:
        if not numbered:
            return for_all(self, basename, numbered)
        folder = self.getbasetemp() / f"{basename}{next(_numbers)}"
        folder.mkdir(mode=0o700)
        return folder

    pytest.TempPathFactory.mktemp = mktemp


def _remember_installed_packages() -> None:
    """Reads what each installed package has once, not again for each pytest inside pytest."""
    installed = Path(pytest.__file__).parent.parent
    known: dict[tuple[str, Path], Any] = {}

    def remembering(name: str) -> property:
        read = getattr(metadata.PathDistribution, name).fget

        def get(self: metadata.PathDistribution) -> Any:
            folder: Any = self._path  # pyright: ignore[reportAttributeAccessIssue]
            if folder.parent != installed:
                return read(self)
            if (name, folder) not in known:
                known[name, folder] = read(self)
            return known[name, folder]

        return property(get)

    for name in ("entry_points", "files", "metadata"):
        setattr(metadata.PathDistribution, name, remembering(name))


def _remember_plugins() -> None:
    """Looks for an installed plugin's hooks and fixtures once, not in each pytest inside pytest."""
    installed = str(Path(pytest.__file__).parent.parent)
    manager, for_fixtures = pytest.PytestPluginManager, fixtures.FixtureManager
    parse_hook, parse_fixtures = manager.parse_hookimpl_opts, for_fixtures.parsefactories
    hooks: dict[tuple[ModuleType, str], Any] = {}
    without_fixtures: set[ModuleType] = set()

    def is_installed(plugin: Any) -> bool:
        return isinstance(plugin, ModuleType) and str(plugin.__file__).startswith(installed)

    def remembered_hook(self: pytest.PytestPluginManager, plugin: Any, name: str) -> Any:
        if not name.startswith("pytest_") or not is_installed(plugin):
            return parse_hook(self, plugin, name)
        if (plugin, name) not in hooks:
            hooks[plugin, name] = parse_hook(self, plugin, name)
        return hooks[plugin, name]

    def remembered_fixtures(self: Any, *args: Any, **keys: Any) -> None:
        plugin: Any = keys.get("holder")
        if not is_installed(plugin):
            parse_fixtures(self, *args, **keys)
        elif plugin not in without_fixtures:
            known = len(self._arg2fixturedefs)
            parse_fixtures(self, *args, **keys)
            if len(self._arg2fixturedefs) == known:
                without_fixtures.add(plugin)

    manager.parse_hookimpl_opts = remembered_hook
    for_fixtures.parsefactories = remembered_fixtures


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Marks the tests that need TFF, and deselects the slow ones unless -m names them.

    In xdist's workers the slowest files come first, so that none is left for the end.
    """
    for item in items:
        if _NEED_TFF.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("tff")
    if "slow" not in config.option.markexpr:  # also with -m "not tff"
        slow = [item for item in items if item.get_closest_marker("slow")]
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in slow]
    if hasattr(config, "workerinput"):
        rank = {f"test_{name}.py": place for place, name in enumerate(_LONGEST)}
        items.sort(key=lambda item: rank.get(item.path.name, len(rank)))


class _Imported(importlib.abc.Loader):
    """Loads a module that is imported already, but hidden."""

    def __init__(self, module: ModuleType) -> None:
        self._module, self._spec = module, module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec  # Python has put its own there


class _ImportsOfTensorFlow:
    """Records imports of TensorFlow, also of modules that pytester removes again afterwards.

    An audit hook would be called a million times.
    """

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> Optional[ModuleSpec]:
        """Finds only what is hidden; TensorFlow cannot be imported twice."""
        asked_by = sys._getframe(2).f_code.co_name  # importlib.util.find_spec imports nothing
        if name.partition(".")[0] in _TENSORFLOW and asked_by == "_find_and_load_unlocked":
            if not _current_test:
                _imports_of_tensorflow.append("collection")
            elif "tff" not in _current_test[0].keywords:
                _imports_of_tensorflow.append(_current_test[0].nodeid)
            if name in _hidden:
                return importlib.util.spec_from_loader(name, _Imported(_hidden[name]))
        return None


sys.meta_path.insert(0, _ImportsOfTensorFlow())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Records which test runs, for the two checks that unmarked tests need no TFF.

    An unmarked test finds TensorFlow as if no other test had imported it.
    """
    _current_test[:] = [item]
    if item.path not in _begun:
        _begun.add(item.path)
        _keep_what_is_imported()
    forked_programs.allowed = "tff" in item.keywords
    if "tff" not in item.keywords:
        _hidden.update({n: sys.modules.pop(n) for n in _TENSORFLOW if n in sys.modules})
    try:
        return (yield)
    finally:
        _current_test.clear()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    """Fails a test without the marker `tff` during which TensorFlow was imported."""
    is_wrong = item.nodeid in _imports_of_tensorflow  # fixtures of the file may still need it
    sys.modules.update(_hidden)
    yield
    sys.modules.update(_hidden)  # pytester has put back what was there before its test
    _hidden.clear()
    if is_wrong:
        pytest.fail(
            "TensorFlow was imported, and the test has no marker tff: use the fixture tff, worker, "
            "running or tff_programs, which sets it",
            pytrace=False,
        )


def pytest_collection_finish() -> None:
    """Fails the session if a test module imports TensorFlow at its top."""
    if "collection" in _imports_of_tensorflow:
        raise pytest.UsageError("a test module or conftest.py imports TensorFlow at its top")


def _keep_what_is_imported() -> None:
    """Keeps the garbage collector from walking through all modules again and again.

    It runs at the end of every pytest inside pytest. Once TensorFlow is imported, which freezes
    what there is, nothing more is: what is frozen is never freed, and models are many.
    """
    if "tensorflow" in sys.modules:
        gc.set_threshold(*_DEFAULT_THRESHOLDS)
        return
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def short_start() -> Iterator[None]:
    """Leaves out plugins of each pytest that a test starts.

    It starts in half the time, and runs its tests in their order.
    """
    used = tuple(name for name in pytest_config.default_plugins if name not in _UNUSED)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTEST_ADDOPTS", _WITHOUT_PLUGINS)
        patch.setattr(pytest_config, "default_plugins", used)
        yield


@pytest.fixture(scope="session", autouse=True)
def unsynced() -> Iterator[None]:
    """Has neither a test nor the git that it starts wait until the disk has written."""
    settings = {"core.fsync": "none", "maintenance.auto": "false"}
    first = int(os.environ.get("GIT_CONFIG_COUNT", "0"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda file: None)
        patch.setenv("GIT_CONFIG_COUNT", str(first + len(settings)))
        for number, (key, value) in enumerate(settings.items(), first):
            patch.setenv(f"GIT_CONFIG_KEY_{number}", key)
            patch.setenv(f"GIT_CONFIG_VALUE_{number}", value)
        yield


@pytest.fixture(scope="session", autouse=True)
def temporary_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Has temporary files be in pytest's folder, as processes that a test kills leave theirs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(tmp_path_factory.mktemp("temporary")))
        patch.setattr(tempfile, "tempdir", None)
        yield


@pytest.fixture(scope="session")
def imported_for_runs() -> None:
    """Imports what runs need before pytester saves sys.modules."""
    for module in _OF_RUNS:
        importlib.import_module(module)
    _keep_what_is_imported()


@pytest.fixture
def pytester(
    imported_for_runs: None, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> pytest.Pytester:
    """Sets the variable of `short_start` again, as pytester deletes it."""
    monkeypatch.setenv("PYTEST_ADDOPTS", _WITHOUT_PLUGINS)
    return pytester


@pytest.fixture
def in_tmp_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Makes an empty folder the current one, so that files need no path."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replaces pictures by their titles: drawing is slow, and these tests are not about it."""
    monkeypatch.setattr(
        "pytest_federated.report.plots.style.Picture.svg", lambda self: f"<svg>{self.alt}</svg>"
    )


@pytest.fixture(scope="session")
def committed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of README.md, docs/ and reports/ as git has them, staged changes included.

    The working tree may hold a report that somebody wrote with other options.
    """
    root, copy = Path(__file__).parent.parent, tmp_path_factory.mktemp("committed")
    ours = ("README.md", "docs", "reports")
    git = ["git", "-c", "safe.directory=*"]  # whoever owns the checkout
    listed = subprocess.run([*git, "ls-files", "-z", *ours], cwd=root, capture_output=True)
    if listed.returncode or not listed.stdout:  # not a checkout of ours
        pytest.skip("what is committed is not known outside a git checkout")
    export = [*git, "checkout-index", "-z", "--stdin", f"--prefix={copy}/"]
    subprocess.run(export, cwd=root, input=listed.stdout, check=True)
    return copy


@pytest.fixture(scope="session")
def tff() -> Any:
    """TFF, imported before pytester saves sys.modules: it cannot be imported twice."""
    from pytest_federated.tff.imports import import_tff

    module = import_tff()
    _keep_what_is_imported()
    return module


@pytest.fixture(scope="session")
def tff_programs() -> None:
    """Marks tests that train in other processes (`forked_programs`, `processes`)."""


@pytest.fixture
def worker(tff: Any) -> Iterator[None]:
    """A runtime for tests that train in this process; its worker ends with the test."""
    yield from _started()


@pytest.fixture(scope="module")
def running(tff: Any) -> Iterator[None]:
    """A runtime that all tests of a file share."""
    yield from _started()


def _started() -> Iterator[None]:
    from pytest_federated.tff.context import runtime, shutdown

    runtime().start()
    yield
    shutdown()
