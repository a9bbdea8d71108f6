"""The user's functions: known by their code, not by their name."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.runtime.user_code import call, fingerprint, fingerprints, load
from harness.training.models import models


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


def test_two_folders_with_a_module_of_the_same_name(
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
def test_a_fingerprint_is_of_the_code_that_is_used(tmp_path: Path, changed: str) -> None:
    for name, text in PACKAGE.items():
        write(tmp_path / name, text)
    before = fingerprint("fed_p.model")
    assert before == fingerprint("fed_p.model")
    write(tmp_path / changed, PACKAGE[changed] + "\n# changed")
    assert (fingerprint("fed_p.model") == before) == (changed == "fed_p/unused.py")
    assert not {"fed_p", "fed_helper"} & set(sys.modules), "it only reads"


def test_code_that_cannot_be_read_is_left_to_the_import(tmp_path: Path) -> None:
    write(tmp_path / "fed_broken.py", "def (")
    assert fingerprint("fed_broken") != fingerprint("fed_nowhere") == fingerprint("fed_other.no")


def test_installed_packages_are_not_read() -> None:
    """Their versions stand for them; reading TensorFlow would take seconds."""
    code = """
import sys
from harness.runtime.user_code import fingerprint
sys.path.insert(0, sys.argv[1])
opened = []
sys.addaudithook(lambda event, arguments: opened.append(arguments) if event == "open" else None)
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
    """As with system packages, or where `uv run --with` puts one environment above another."""
    write(tmp_path / "lib" / folder / "fed_package.py", "x = 1")
    write(tmp_path / "fed_uses_package.py", "import fed_package")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.syspath_prepend(tmp_path / "lib" / folder)
    before = fingerprint("fed_uses_package")
    write(tmp_path / "lib" / folder / "fed_package.py", "x = 2")
    assert fingerprint("fed_uses_package") == before
    write(tmp_path / "fed_uses_package.py", "import fed_package as p")
    assert fingerprint("fed_uses_package") != before


def test_the_functions_of_a_section(tmp_path: Path) -> None:
    write(tmp_path / "fed_m.py", "")
    assert fingerprints(models.parse({"keras": "fed_m:f"})) == {"fed_m:f": fingerprint("fed_m")}
    assert fingerprints(models.parse("tutorial")) == {}


def test_the_line_that_is_blamed_is_the_users(
    beside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (beside / "blamed_module.py").write_text(
        "import json\ndef reads():\n    return json.loads('nothing')\n"
    )
    monkeypatch.syspath_prepend(beside)
    with pytest.raises(HarnessError) as raised:
        call(load("blamed_module:reads"), {}, {}, "model.keras: blamed_module:reads", HarnessError)
    # Not the line of Python's json module that raises.
    place = f"(line 3 of {beside / 'blamed_module.py'}: return json.loads('nothing'))"
    assert str(raised.value).endswith(place)
