"""Checks of workflows and actions of GitHub that a schema cannot make, as actionlint does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from paths import ROOT

_EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
_REMOTE = re.compile(r"[\w.-]+/[\w./-]+@[\w./-]+")
_CONTEXTS = {"env", "github", "inputs", "job", "matrix", "needs", "runner", "secrets", "steps"}


def problems_of_workflow(document: dict[str, Any]) -> list[str]:
    """Returns what is wrong in a workflow (`jobs`) or in a composite action (`runs`)."""
    inputs = set(document.get("inputs", {}))
    if "runs" in document:
        return list(_in_steps(document["runs"]["steps"], inputs, set()))
    problems: list[str] = [] if "on" in document else ["no trigger: on is missing"]
    if isinstance(document.get("on"), dict):
        inputs |= set((document["on"].get("workflow_call") or {}).get("inputs", {}))
    for name, job in document["jobs"].items():
        needs = job.get("needs", [])
        for other in [needs] if isinstance(needs, str) else needs:
            if other not in document["jobs"]:
                problems.append(f"{name} needs {other}, which is no job")
        if "uses" in job:
            problems += _in_use(job["uses"])
        elif "runs-on" not in job:
            problems.append(f"{name} has no runs-on")
        varied = set(job.get("strategy", {}).get("matrix", {}))
        problems += _in_steps(job.get("steps", []), inputs, varied)
    return problems


def _in_steps(steps: list[dict[str, Any]], inputs: set[str], varied: set[str]) -> Iterator[str]:
    earlier: set[str] = set()
    for number, step in enumerate(steps):
        if ("run" in step) == ("uses" in step):
            yield f"step {number} has to have one of run and uses"
        if "uses" in step:
            yield from _in_use(step["uses"])
        text = json.dumps(step)
        conditions = [step["if"]] if isinstance(step.get("if"), str) else []
        for expression in [*_EXPRESSION.findall(text), *conditions]:
            for context, name in re.findall(r"\b(\w+)\.([\w-]+)", re.sub(r"'.*?'", "", expression)):
                known = {"inputs": inputs, "matrix": varied, "steps": earlier}.get(context)
                if context not in _CONTEXTS and context not in ("outputs",):
                    yield f"step {number}: there is no {context}.{name}"
                elif known is not None and name not in known:
                    yield f"step {number}: {context}.{name} is not defined"
        if "id" in step:
            earlier.add(step["id"])


def _in_use(used: str) -> Iterator[str]:
    if used.startswith("./"):
        if not any((ROOT / used / f"action.{ending}").is_file() for ending in ("yml", "yaml")):
            yield f"there is no action {used}"
    elif not _REMOTE.fullmatch(used):
        yield f"{used} names no version"
