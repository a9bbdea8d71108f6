"""The user's functions: identified by their code, not by their name."""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import operator
import os
import pickle
import py_compile
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from pytest_federated.core.errors import FederatedError
from pytest_federated.training.models.model import models
from pytest_federated.training.schema import Training
from pytest_federated.user import functions as user_code
from pytest_federated.user import installed
from pytest_federated.user.files import find
from pytest_federated.user.functions import (
    call,
    files_of,
    fingerprint,
    fingerprint_of,
    fingerprints,
    load,
    named_functions,
)
from pytest_federated.user.installed import add_scenario_folder
from pytest_federated.user.modules import own_folders, space


@pytest.fixture(autouse=True)
def own_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    modules = set(sys.modules)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_two_folders_may_have_a_module_of_the_same_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        write(tmp_path / name / "fed_mine" / "__init__.py", "")
        write(tmp_path / name / "fed_mine" / "sub.py", f"def f(): return {name!r}")
    got = []
    for name in ("a", "b", "a"):
        with monkeypatch.context() as within:
            within.syspath_prepend(tmp_path / name)
            got.append(load("fed_mine.sub:f")())
    assert got == ["a", "b", "a"]


def test_the_same_module_is_imported_once(tmp_path: Path) -> None:
    write(tmp_path / "fed_once.py", "def f(): pass")
    assert load("fed_once:f") is load("fed_once:f")


PACKAGE = {
    "fed_p/__init__.py": "from . import layers",
    "fed_p/model.py": "from .layers import wide\ndef build():\n    import fed_helper\n",
    "fed_p/layers.py": "import numpy, os.path\nwide = 3",
    "fed_p/unused.py": "",
    "fed_helper.py": "from fed_p.deep.er import x",
    "fed_p/deep/__init__.py": "",
    "fed_p/deep/er.py": "from ..layers import wide as x",
}


@pytest.mark.parametrize("changed", sorted(PACKAGE))
def test_a_fingerprint_covers_the_code_that_is_used(tmp_path: Path, changed: str) -> None:
    for name, text in PACKAGE.items():
        write(tmp_path / name, text)
    before = fingerprint("fed_p.model")
    assert before == fingerprint("fed_p.model")
    write(tmp_path / changed, PACKAGE[changed] + "\n# changed")
    assert (fingerprint("fed_p.model") == before) == (changed == "fed_p/unused.py")
    assert not {"fed_p", "fed_helper"} & set(sys.modules), "nothing is imported"


def test_code_that_cannot_be_read_is_left_to_the_import(tmp_path: Path) -> None:
    write(tmp_path / "fed_broken.py", "def (")
    assert fingerprint("fed_broken") != fingerprint("fed_nowhere") == fingerprint("fed_other.no")


def test_installed_packages_are_not_read() -> None:
    """Their versions stand for them; reading TensorFlow would take seconds."""
    code = """
import sys
from pytest_federated.user.functions import fingerprint
sys.path.insert(0, sys.argv[1])
opened = []
def watch(event, arguments):
    if event == "open" and str(arguments[0]).endswith(".py"):
        opened.append(arguments)
sys.addaudithook(watch)
fingerprint("fed_uses_tf")
print(len(opened))
"""
    folder = Path(sys.path[0])
    write(folder / "fed_uses_tf.py", "import tensorflow as tf\nfrom tensorflow.keras import layers")
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) == 1


@pytest.mark.parametrize("folder", ["site-packages", "dist-packages"])
def test_packages_of_another_environment_are_installed_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    """As with system packages, or when `uv run --with` layers one environment on another."""
    write(tmp_path / "lib" / folder / "fed_package.py", "x = 1")
    write(tmp_path / "fed_uses_package.py", "import fed_package")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.syspath_prepend(tmp_path / "lib" / folder)
    before = fingerprint("fed_uses_package")
    write(tmp_path / "lib" / folder / "fed_package.py", "x = 2")
    assert fingerprint("fed_uses_package") == before
    write(tmp_path / "fed_uses_package.py", "import fed_package as p")
    assert fingerprint("fed_uses_package") != before


def test_the_functions_of_a_section_have_fingerprints(tmp_path: Path) -> None:
    write(tmp_path / "fed_m.py", "")
    assert fingerprints(models.parse({"keras": "fed_m:f"})) == {"fed_m:f": fingerprint("fed_m")}
    assert fingerprints(models.parse("tutorial")) == {}


@pytest.fixture
def aa_and_bb(tmp_path: Path) -> tuple[Path, Path]:
    """Two scenario folders with modules of the same names."""
    for name in ("aa", "bb"):
        for file, text in {
            "mm.py": "import helper\ndef f(): return helper.NAME",
            "late.py": "def f():\n    import helper\n    from p.sub import NAME\n"
            "    return helper.NAME if helper.NAME == NAME else None",
            "helper.py": f"NAME = {name!r}",
            "p/__init__.py": "from .sub import NAME\nfrom . import sub as other",
            "p/sub.py": f"NAME = {name!r}\ndef f(): return NAME",
            "loose/sub.py": f"def f(): return {name!r}",
        }.items():
            write(tmp_path / name / file, text)
        add_scenario_folder(tmp_path / name)
    return tmp_path / "aa", tmp_path / "bb"


@pytest.mark.parametrize("reference", ["mm:f", "late:f", "p.sub:f", "p:sub.f", "loose.sub:f"])
@pytest.mark.parametrize("order", [(0, 1, 0), (1, 0, 1)])
def test_each_scenario_has_the_modules_of_its_own_folder(
    aa_and_bb: tuple[Path, Path],
    order: tuple[int, ...],
    reference: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Even if pytest has put both on `sys.path`, and if functions are called much later."""
    before = dict(sys.modules)
    for folder in aa_and_bb:
        monkeypatch.syspath_prepend(folder)
    path, functions = list(sys.path), []
    for number in order:
        with own_folders(aa_and_bb[number], aa_and_bb[0].parent):
            module, _, name = reference.partition(":")
            function = operator.attrgetter(name)(space().load(module))
            functions.append(function)
            assert function() == aa_and_bb[number].name
        assert sys.path == path
        assert sys.modules == before
    assert [f() for f in functions] == [aa_and_bb[number].name for number in order]
    assert functions[0] is functions[2]


def test_modules_of_another_scenario_are_not_found(
    aa_and_bb: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    aa, bb = aa_and_bb
    for folder in (aa, bb):
        monkeypatch.syspath_prepend(folder)
    import helper  # pyright: ignore[reportMissingImports]

    assert helper.NAME == "bb"
    for file in ("mm.py", "helper.py"):
        (aa / file).unlink()
    with own_folders(aa, aa.parent):
        with pytest.raises(ModuleNotFoundError, match="mm"):
            load("mm:f")
        with pytest.raises(ModuleNotFoundError, match="helper"):
            load("late:f")()
    assert sys.modules["helper"] is helper
    write(aa.parent / "mm.py", "def f(): return 'root'")
    with own_folders(aa, aa.parent):
        assert load("mm:f")() == "root"
    with own_folders(bb, aa.parent):
        assert load("mm:f")() == "bb"


def test_a_module_at_the_root_sees_the_helper_of_the_scenario(aa_and_bb: tuple[Path, Path]) -> None:
    root = aa_and_bb[0].parent
    write(root / "top.py", "import helper, alone\ndef f(): return helper.NAME, alone.f")
    write(root / "alone.py", "def f(): pass")
    found = []
    for folder in aa_and_bb:
        with own_folders(folder, root):
            found.append(load("top:f")())
    assert [name for name, _ in found] == ["aa", "bb"]
    assert found[0][1] is found[1][1], "the same code is imported once"


@pytest.mark.parametrize("name", ["random", "colorsys", "tabulate", "cachetools", "packaging"])
def test_a_module_may_be_named_like_a_standard_or_installed_one(tmp_path: Path, name: str) -> None:
    """The scenario gets the user's module, and all other code the standard or installed one."""
    text = f"from __future__ import annotations\nimport dataclasses, {name}\n"
    text += "@dataclasses.dataclass\nclass A:\n    x: int\n"
    write(tmp_path / f"{name}.py", text + f"def f(): return {name}.__file__, A(3).x")
    write(tmp_path / "mm.py", "import tabulate\ndef f(): return tabulate.__file__")
    with own_folders(tmp_path, tmp_path):
        function = load(f"{name}:f")
        assert function.__code__.co_filename == str(tmp_path / f"{name}.py")
        other = importlib.import_module(name)
        assert function() == (other.__file__, 3)
        assert other.__file__ != str(tmp_path / f"{name}.py")
        assert load("mm:f")().startswith(str(tmp_path)) == (name == "tabulate")
    assert importlib.import_module(name) is other


def test_a_package_may_be_named_like_a_standard_module(tmp_path: Path) -> None:
    write(tmp_path / "types" / "__init__.py", "from .deep import f\nfrom . import deep as other")
    write(tmp_path / "types" / "deep.py", "import types\ndef f(): return types.FunctionType")
    with own_folders(tmp_path):
        assert load("types:f")() is load("types.deep:f")() is type(lambda: None)
        before = fingerprint("types")
        write(tmp_path / "types" / "deep.py", "")
        assert fingerprint("types") != before


def test_other_code_finds_the_modules_of_a_scenario_while_it_runs(
    aa_and_bb: tuple[Path, Path], tmp_path: Path
) -> None:
    """Such as `pickle`, code in a conftest.py, and code that imports by a computed name."""
    kept = []
    for folder in aa_and_bb:
        write(folder / "kept.py", f"class Kept:\n    name = {folder.name!r}")
        with own_folders(folder, tmp_path):
            assert folder.name == importlib.import_module("helper").NAME
            assert importlib.import_module("p.sub") is space().load("p.sub")
            made = space().load("kept").Kept()
            assert type(pickle.loads(pickle.dumps(made))) is type(made)
            kept.append(type(made).name)
    assert kept == ["aa", "bb"]
    assert not {"helper", "p", "kept"} & set(sys.modules)


def test_modules_that_other_code_imported_are_not_imported_again(
    aa_and_bb: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    aa, bb = aa_and_bb
    monkeypatch.syspath_prepend(aa)
    mm = importlib.import_module("mm")
    with own_folders(aa, aa.parent):
        assert load("mm:f") is mm.f
    with own_folders(bb, aa.parent):
        assert load("mm:f")() == "bb"
    assert sys.modules["mm"] is mm
    write(aa / "helper.py", "NAME = 'cc'")
    with own_folders(aa, aa.parent):
        assert load("mm:f")() == "cc"


@pytest.mark.parametrize("within", [True, False])
def test_a_changed_module_is_imported_again(
    tmp_path: Path, within: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, even if a file keeps its size within a second, and with circular imports."""
    write(tmp_path / "one.py", "import fed_part\ndef f(): return fed_part.VALUE")
    write(tmp_path / "two.py", "import fed_part\ndef f(): return fed_part.VALUE")
    with own_folders(tmp_path) if within else contextlib.nullcontext():
        for value in (1, 2, 3, 1):
            write(tmp_path / "fed_part.py", f"import one\nVALUE = {value}")
            assert [load("one:f")(), load("two:f")(), load("one:f")()] == [value] * 3
        write(tmp_path / "fed_part.py", "1 / 0")
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                load("one:f")


def test_equal_code_in_two_folders_has_two_fingerprints(aa_and_bb: tuple[Path, Path]) -> None:
    """It may read a file next to it. The place of the whole project does not matter."""
    seen = []
    for root in (aa_and_bb[0].parent, aa_and_bb[0].parent / "copy"):
        for name in ("aa", "bb"):
            write(root / name / "same.py", "def f(): return __file__")
            with own_folders(root / name, root):
                seen.append(fingerprint("same"))
    assert seen[0] == seen[2] != seen[1] == seen[3]


def test_scenarios_in_an_installed_package_have_their_own_modules(tmp_path: Path) -> None:
    """There, too, a module next to the scenario is code of the user."""
    seen = []
    for name in ("aa", "bb"):
        folder = tmp_path / "lib" / "site-packages" / "fed_suite" / "scenarios" / name
        write(folder / "mm.py", "import helper\ndef f(): return helper.NAME")
        write(folder / "helper.py", f"NAME = {name!r}")
        write(folder / "d.csv", "")
        add_scenario_folder(folder)
        with own_folders(folder, tmp_path):
            assert load("mm:f")() == name
            assert find("d.csv", "key") == folder / "d.csv"
            seen.append(fingerprint("mm"))
            write(folder / "helper.py", f"NAME = {name!r}  # changed")
            seen.append(fingerprint("mm"))
    assert len(set(seen)) == 4


def test_compiled_code_is_never_considered_unchanged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "fed_gone.py", "def f(): return 3")
    write(tmp_path / "fed_uses.py", "def f():\n    import fed_gone")
    readable = fingerprint("fed_uses")
    py_compile.compile(str(tmp_path / "fed_gone.py"), str(tmp_path / "fed_gone.pyc"))
    (tmp_path / "fed_gone.py").unlink()
    assert load("fed_gone:f")() == 3
    here = [fingerprint("fed_uses"), fingerprint("fed_gone")]
    assert here == [fingerprint("fed_uses"), fingerprint("fed_gone")], "the same within a process"
    monkeypatch.setattr(user_code, "_unreadable", "another process")
    assert len({readable, *here, fingerprint("fed_uses"), fingerprint("fed_gone")}) == 5


CONFTESTS = {
    "conftest.py": "import deco, lib\nfrom fed_registry import mine\n"
    "def plain(): import lazy\n"
    "lambda_ = mine(lambda: 0)\n"
    "partial = mine(__import__('functools').partial(lib.work, 3))\n"
    "@mine\n@deco.wrapped\ndef wrapped(): pass\n"
    "@mine\n@deco.closed\ndef closed(): pass\n"
    "@mine\nclass Class(lib.Base):\n    def __call__(self): pass\n"
    "mine(Class())\nmine(Class.made)\nmine(Class().bound)\n",
    "lib.py": "from pkg import part\ndef work(n): pass\n"
    "class Base:\n    @classmethod\n    def made(cls): pass\n    def bound(self): pass\n",
    "deco.py": "import functools\ndef wrapped(f):\n    @functools.wraps(f)\n"
    "    def inner(): return f()\n    return inner\n"
    "def closed(f):\n    def inner(): return f()\n    return inner\n",
    "fed_registry.py": "ALL = []\ndef mine(f):\n    ALL.append(f)\n    return f",
    "lazy.py": "",
    "pkg/__init__.py": "from .part import x",
    "pkg/part.py": "x = 3",
    "scenarios/conftest.py": "",
    "scenarios/lazy.py": "",
}


def test_registered_code_is_identified_by_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not by the name of its module, which may be that of another conftest.py."""
    for name, text in CONFTESTS.items():
        write(tmp_path / name, text)
    spec = importlib.util.spec_from_file_location("conftest", tmp_path / "conftest.py")
    assert spec and spec.loader
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    functions = sys.modules["fed_registry"].ALL
    assert len(functions) == 8
    write(tmp_path / "elsewhere" / "conftest.py", "")
    monkeypatch.syspath_prepend(tmp_path / "elsewhere")  # as pytest does for another conftest.py

    def prints() -> list[str]:
        with own_folders(tmp_path / "scenarios", tmp_path):
            return [
                fingerprint_of({*files_of(f), str(tmp_path / "conftest.py")}) for f in functions
            ]

    before = prints()
    assert prints() == before
    for changed, text in CONFTESTS.items():
        write(tmp_path / changed, text + "\n# changed")
        is_used = changed != "scenarios/conftest.py"
        differ = [one != other for one, other in zip(prints(), before)]
        assert differ == [is_used] * len(functions), changed
        write(tmp_path / changed, text)


@pytest.mark.parametrize("packaged", [True, False])
def test_relative_imports_of_a_conftest_are_in_its_fingerprint(
    tmp_path: Path, packaged: bool
) -> None:
    """Also without packages, as pytest's import mode `importlib` allows."""
    file = write(tmp_path / "q/deep/conftest.py", "from ..lib import x\nfrom . import near")
    for name in ("q/lib.py", "q/deep/near.py", "q/deep/unused.py"):
        write(tmp_path / name, "x = 1")
    for name in ("q/__init__.py", "q/deep/__init__.py") if packaged else ():
        write(tmp_path / name, "")
    before = fingerprint_of({str(file)})
    write(tmp_path / "q/deep/unused.py", "x = 2")
    assert fingerprint_of({str(file)}) == before
    for name in ("q/lib.py", "q/deep/near.py"):
        write(tmp_path / name, "x = 2")
        assert fingerprint_of({str(file)}) != before
        write(tmp_path / name, "x = 1")
        assert fingerprint_of({str(file)}) == before


def test_code_without_a_file_is_never_considered_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    names: dict[str, Any] = {}
    exec("def f(): return lambda: 3", names)
    for function in (names["f"], functools.partial(names["f"]), names["f"]()):
        assert files_of(function) == {"<string>"}
        here = fingerprint_of(files_of(function))
        assert here == fingerprint_of(files_of(function))
        with monkeypatch.context() as other:
            other.setattr(user_code, "_unreadable", "another process")
            assert fingerprint_of(files_of(function)) != here


def test_code_without_a_file_is_another_one_in_a_forked_process() -> None:
    names: dict[str, Any] = {}
    exec("def f(): return 3", names)
    here = fingerprint_of(files_of(names["f"]))
    given, taken = os.pipe()
    if not (child := os.fork()):
        os.write(taken, fingerprint_of(files_of(names["f"])).encode())
        os._exit(0)
    os.waitpid(child, 0)
    there = os.read(given, 1000).decode()
    os.close(given)
    os.close(taken)
    assert len(there) == len(here) and there != here


def test_an_error_names_the_line_of_the_user(
    in_tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (in_tmp_path / "blamed_module.py").write_text(
        "import json\ndef reads():\n    return json.loads('nothing')\n"
    )
    monkeypatch.syspath_prepend(in_tmp_path)
    with pytest.raises(FederatedError) as raised:
        call(
            load("blamed_module:reads"), {}, {}, "model.keras: blamed_module:reads", FederatedError
        )
    # Not the line of Python's json module that raises.
    place = f"(line 3 of {in_tmp_path / 'blamed_module.py'}: return json.loads('nothing'))"
    assert str(raised.value).endswith(place)


def test_a_fingerprint_has_the_versions_of_the_packages_that_are_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "fed_alone.py", "import json")
    write(tmp_path / "fed_uses.py", "from fed_between import x\ndef f():\n    import sklearn.svm")
    write(tmp_path / "fed_between.py", "import numpy.linalg as x")
    assert installed.versions_of(["sklearn.svm", "json", "pytest_federated", "nowhere"]) == [
        f"scikit-learn=={version('scikit-learn')}"
    ]

    def known() -> tuple[str, str, str]:
        files = [str(tmp_path / "fed_uses.py")]
        return fingerprint("fed_uses"), fingerprint_of(files), fingerprint("fed_alone")

    before = known()
    versions = {"sklearn": "scikit-learn==1", "numpy": "numpy==1"}
    monkeypatch.setattr(installed, "_distribution_of", versions.get)
    seen = [known()]
    for module in versions:
        versions[module] += ".1"
        seen.append(known())
    assert len({uses for uses, _, _ in seen}) == len({files for _, files, _ in seen}) == 3
    assert {alone for _, _, alone in seen} == {before[2]}


def test_a_loss_is_a_users_function_only_if_it_names_one() -> None:
    own, of_keras = (
        Training.model_validate({"rounds": 1, "loss": loss})
        for loss in ("my_losses:focal", "huber")
    )
    assert list(named_functions(own)) == [("loss", "my_losses:focal")]
    assert list(named_functions(of_keras)) == []
