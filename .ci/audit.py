"""Looks for known vulnerabilities in the packages that are installed with pytest-federated.

Asks the database OSV, through pip-audit, about the packages in uv.lock, with all extras and without
development dependencies. Fails for findings that `.ci/accepted-vulnerabilities` does not list. If
the database cannot be reached, it says so and does not fail.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

ROOT = Path(__file__).parent.parent
ACCEPTED = Path(__file__).with_name("accepted-vulnerabilities")
PIP_AUDIT = "pip-audit==2.10.1"
DATABASE = "https://api.osv.dev/v1/query"
_SECONDS = 20
_EXPORT = ["uv", "export", "-q", "--locked", "--no-emit-project", "--no-hashes"]


def main() -> int:
    """Returns 1 for vulnerabilities that are not accepted, and if the audit fails."""
    accepted = read_accepted(ACCEPTED.read_text(encoding="utf-8"))
    if reason := unreachable(DATABASE):
        print(f"audit: NOT DONE, as {DATABASE} cannot be reached: {reason}")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(folder, "requirements.txt")
        with requirements.open("w") as file:
            subprocess.run(
                [*_EXPORT, "--no-dev", "--all-extras"], cwd=ROOT, stdout=file, check=True
            )
        arguments = ["--no-deps", "--disable-pip", "-s", "osv", "-f", "json", "-r", requirements]
        done = subprocess.run(
            ["uvx", "--from", PIP_AUDIT, "pip-audit", *arguments], capture_output=True, text=True
        )
    try:
        dependencies = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        print(f"audit: pip-audit failed:\n{done.stderr}")
        return 1
    problems = judge(dependencies, accepted)
    print("\n".join(problems) or f"audit: {len(dependencies)} packages, nothing new is known")
    return 1 if problems else 0


def unreachable(url: str) -> Optional[str]:
    """Returns why a database does not answer, or None."""
    question = json.dumps({"package": {"name": "pip", "ecosystem": "PyPI"}, "version": "24.0"})
    request = urllib.request.Request(url, question.encode())
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS) as answer:
            json.load(answer)
    except (OSError, ValueError) as error:
        return str(getattr(error, "reason", None) or error)
    return None


def read_accepted(text: str) -> dict[str, str]:
    """Returns reasons by ID, from lines such as ``PYSEC-2023-1  why``.

    Raises:
        SystemExit: a line has no reason.

    """
    accepted: dict[str, str] = {}
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            name, _, reason = line.strip().partition(" ")
            if not reason.strip():
                raise SystemExit(f"{ACCEPTED.name}: {name} has no reason")
            accepted[name] = reason.strip()
    return accepted


def judge(dependencies: Sequence[Mapping[str, Any]], accepted: Mapping[str, str]) -> list[str]:
    """Returns a line for each finding that is not accepted, and each that is no longer found.

    Args:
        dependencies: those in pip-audit's report.
        accepted: reasons by ID.

    """
    problems, found = [], set[str]()
    for package in dependencies:
        where = f"{package['name']} {package.get('version', '')}".strip()
        if "skip_reason" in package:
            problems.append(f"audit: {where} was not looked up: {package['skip_reason']}")
        for finding in package.get("vulns", ()):
            ids = {finding["id"], *finding.get("aliases", ())}
            found |= ids
            if not ids & set(accepted):
                fixed = ", ".join(finding.get("fix_versions", ())) or "no release"
                problems.append(f"audit: {where}: {finding['id']}, fixed in {fixed}")
    gone = [name for name in accepted if name not in found]
    problems += [f"audit: {name} is accepted, and no longer found: remove it" for name in gone]
    return problems


if __name__ == "__main__":
    sys.exit(main())
