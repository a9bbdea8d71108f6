"""The project's metadata: its requirements, its lock, and how pytest finds the plugin."""

from __future__ import annotations

import re
import shutil
import subprocess
import tarfile
import zipfile
from importlib.metadata import PackageNotFoundError, distribution, requires, version
from pathlib import Path
from typing import Any, Optional

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version
from paths import ROOT
from pytest_federated.tff.imports import TFF_VERSION

REPLACED = {"jax", "jaxlib", "typing-extensions"}  # by the overrides; see pyproject.toml
PYTHONS = ["3.9", "3.10", "3.11"]


@pytest.fixture(scope="module")
def pyproject() -> dict[str, Any]:
    tomllib: Any = pytest.importorskip("tomllib", reason="TOML is read with Python 3.11")
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def of_tff() -> list[str]:
    try:
        return requires("tensorflow-federated") or []
    except PackageNotFoundError:
        pytest.skip("tensorflow-federated is not installed")


def asked(requirements: list[str], python: str) -> dict[str, SpecifierSet]:
    """Returns the requirements that apply on Linux x86-64 with this Python, without extras."""
    environment = {
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_machine": "x86_64",
        "python_version": python,
        "python_full_version": f"{python}.0",
        "extra": "",
    }
    parsed = [Requirement(r) for r in requirements]
    return {
        canonicalize_name(r.name): r.specifier
        for r in parsed
        if r.marker is None or r.marker.evaluate(environment)
    }


def bounds(specifiers: SpecifierSet) -> tuple[Optional[Version], Optional[Version]]:
    """Returns the lowest allowed version and the first one above: ``~=1.25`` is ``>=1.25,<2``."""
    low: list[Version] = []
    high: list[Version] = []
    for specifier in specifiers:
        text = specifier.version
        release = Version(text.replace(".*", "")).release
        if specifier.operator == "~=" or text.endswith(".*"):
            assert specifier.operator in ("~=", "=="), specifier
            fixed = release[:-1] if specifier.operator == "~=" else release
            low.append(Version(".".join(map(str, release))))
            high.append(Version(".".join(map(str, (*fixed[:-1], fixed[-1] + 1)))))
        elif specifier.operator == "==":
            low.append(Version(text))
            high.append(Version(text))
        elif specifier.operator == ">=":
            low.append(Version(text))
        elif specifier.operator == "<":
            high.append(Version(text))
        else:
            raise NotImplementedError(specifier)
    return max(low, default=None), min(high, default=None)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("~=1.25", ">=1.25,<2", True),
        ("==2.14.*,>=2.14.0", "==2.14.*", True),
        ("~=1.9.3", ">=1.9.3,<1.10", True),
        ("==0.4.3", "==0.4.3", True),
        ("==0.4.3", ">=0.4.3", False),
        ("~=4.64", "==4.64.*", False),
    ],
)
def test_specifiers_are_compared_by_what_they_allow(one: str, other: str, same: bool) -> None:
    assert (bounds(SpecifierSet(one)) == bounds(SpecifierSet(other))) is same


@pytest.mark.parametrize("python", PYTHONS)
def test_all_that_tff_requires_is_required(
    pyproject: dict[str, Any], of_tff: list[str], python: str
) -> None:
    ours = asked(pyproject["project"]["dependencies"], python)
    theirs = asked(of_tff, python)
    assert set(theirs) <= set(ours)
    for name in set(theirs) - REPLACED:
        assert bounds(ours[name]) == bounds(theirs[name]), name


@pytest.mark.parametrize("python", PYTHONS)
def test_the_overrides_are_the_requirements_of_the_project(
    pyproject: dict[str, Any], python: str
) -> None:
    overrides = asked(pyproject["tool"]["uv"]["override-dependencies"], python)
    ours = asked(pyproject["project"]["dependencies"], python)
    assert set(overrides) == REPLACED
    assert overrides == {name: ours[name] for name in REPLACED}


def test_the_same_version_of_tff_is_named_everywhere(
    pyproject: dict[str, Any], of_tff: list[str]
) -> None:
    named = [
        *asked(pyproject["project"]["optional-dependencies"]["tff"], "3.11").items(),
        *(i for i in asked(pyproject["dependency-groups"]["dev"], "3.11").items()),
    ]
    found = [str(s) for name, s in named if name == "tensorflow-federated"]
    assert found == [f"=={TFF_VERSION}"] * 2
    assert version("tensorflow-federated") == TFF_VERSION
    assert f"tensorflow-federated=={TFF_VERSION}\n" in installing()


def installing() -> str:
    return (ROOT / "docs/installing.md").read_text(encoding="utf-8")


def test_the_page_on_installing_has_the_overrides(pyproject: dict[str, Any]) -> None:
    shown = re.findall(
        r"^override-dependencies = \[\n(.*?)^\]$", installing(), re.MULTILINE | re.DOTALL
    )
    assert shown
    for lines in shown:
        assert re.findall(r'"(.*?)"', lines) == pyproject["tool"]["uv"]["override-dependencies"]


def test_the_lock_names_no_other_hosts() -> None:
    text = (ROOT / "uv.lock").read_text(encoding="utf-8")
    assert set(re.findall(r"://([^/\"\s]+)", text)) == {"pypi.org", "files.pythonhosted.org"}
    sources = set(re.findall(r"^source = \{ (.*) \}$", text, flags=re.MULTILINE))
    assert sources == {'registry = "https://pypi.org/simple"', 'editable = "."'}


def test_the_requirements_name_versions_and_nothing_else() -> None:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert lines
    for line in lines:
        assert re.fullmatch(r"[a-z0-9.-]+==[\w.!+]+( ; [^/@]+)?", line), line


def test_pytest_finds_the_plugin() -> None:
    (point,) = [p for p in distribution("pytest-federated").entry_points if p.group == "pytest11"]
    assert (point.name, point.value) == ("federated", "pytest_federated.plugin.hooks")
    assert point.load().__name__ == "pytest_federated.plugin.hooks"


def test_type_checkers_read_our_annotations() -> None:
    assert (ROOT / "harness/pytest_federated/py.typed").is_file()
    assert "Typing :: Typed" in distribution("pytest-federated").metadata.get_all("Classifier", [])


def test_the_license_is_the_one_that_is_named(pyproject: dict[str, Any]) -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text and "Version 2.0, January 2004" in text
    assert pyproject["project"]["license"] == "Apache-2.0"
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {version('pytest-federated')}\n" in citation
    assert "\nlicense: Apache-2.0\n" in citation


def test_this_version_is_in_the_changelog() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (\S+)", text, flags=re.MULTILINE)
    assert headings[0] == "Unreleased" and version("pytest-federated") in headings


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source distribution, built without a network."""
    if shutil.which("uv") is None:
        pytest.skip("uv is not on the path")
    folder = tmp_path_factory.mktemp("dist")
    command = ["uv", "build", "-q", "--offline", "--out-dir", str(folder), str(ROOT)]
    built = subprocess.run(command, capture_output=True, text=True)
    if "hatchling" in built.stderr and built.returncode:
        pytest.skip("hatchling is not in uv's cache")
    assert built.returncode == 0, built.stderr
    return folder


@pytest.mark.slow
def test_the_wheel_has_all_that_the_package_needs(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    package = ROOT / "harness"
    files = {f.relative_to(package).as_posix() for f in package.rglob("*") if f.is_file()}
    files = {f for f in files if "__pycache__" not in f}
    assert files <= names
    assert {
        "pytest_federated/py.typed",
        "pytest_federated/report/page.html.j2",
        "pytest_federated/report/page.css",
        "pytest_federated/report/page.js",
        "pytest_federated/data/datasets/bundled/shakespeare_roles.json.xz",
    } <= files
    assert {n.partition("/")[0] for n in names - files} == {
        f"pytest_federated-{version('pytest-federated')}.dist-info"
    }
    assert any(n.endswith("/licenses/LICENSE") for n in names)


@pytest.mark.slow
def test_the_source_distribution_can_be_tested(built: Path) -> None:
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    assert {
        *("LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "README.md", "pyproject.toml"),
        *("conftest.py", "tests/conftest.py", "scenarios/defaults.yaml"),
        "harness/pytest_federated/py.typed",
    } <= names
