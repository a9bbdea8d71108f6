"""Mutation scores: how many small faults in the code its own tests notice.

    uv run --with cosmic-ray==8.7.0 python benchmarks/mutation.py [FOLDER[:FILE,...[:LINE,...]]...]
        [--since COMMIT] [--tests TEST...]

With `--since`, only lines that have changed since that commit; with `--tests`, these tests in place
of the folder's.

The faults are those of Cosmic Ray's operators, and a few more. Cosmic Ray starts pytest for each of
them, which takes seconds; here one pytest collects the tests of a folder, and forks for each fault.
In the copy, the changed function gets its new code, and the tests that run the changed statement
run until one fails, the quickest first. Code outside functions (constants, traits of entries) is
changed before pytest_federated is imported, in a copy of a process that has only imported
libraries; so are functions that imports call, where no test noticed the change afterwards.
"""

from __future__ import annotations

import argparse
import ast
import builtins
import contextlib
import gc
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import re
import resource
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, ClassVar, NamedTuple, Optional

import numpy  # noqa: F401  # imported before the forks, like the next ones
import pydantic  # noqa: F401
import pytest
import scipy.stats  # noqa: F401
from cosmic_ray.ast import get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Operator
from cosmic_ray.plugins import get_operator

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "harness/pytest_federated"

# The files that are changed.
FOLDERS: dict[str, list[str]] = {
    "metrics": ["metrics/*.py"],
    "results": ["results/*.py"],
    "plugin": [
        f"plugin/{name}.py"
        for name in (
            *("execution", "item", "session", "baselines", "finding", "selection", "options"),
            *("summary", "progress", "against", "collection"),
        )
    ],
    "expectations": ["expectations/*.py"],
    "report": [
        *("report/compare.py", "report/history.py"),
        "report/comparison/*.py",
    ],
}

# The quick tests of measuring, judging and recording; only those that call the changed code run.
_UNIT = [
    *("unit/test_values_of_metrics.py", "unit/test_edges_of_judging.py", "unit/test_metrics.py"),
    *("unit/test_records.py", "unit/test_judging.py", "unit/test_expectations.py"),
    *("unit/test_baselines.py", "unit/test_false_passes.py", "unit/test_figures_of_clients.py"),
    *("unit/test_looks.py", "unit/test_early_stop.py", "unit/test_compare.py"),
    *("unit/test_results_and_report.py", "unit/test_prune.py", "unit/test_json_schema.py"),
    *("unit/test_specs.py", "unit/test_calibrate.py", "property/test_statistics.py"),
    *("unit/test_validation.py", "unit/test_unseen_clients.py", "unit/test_needs_of_metrics.py"),
    *("unit/test_prediction_metrics.py", "unit/test_clients_by_round.py"),
    *("unit/test_names_of_clients.py", "unit/test_last_rounds.py", "unit/test_tune.py"),
    *("unit/test_report_of_tuning.py", "unit/test_hostile_records.py", "unit/test_history.py"),
    *("unit/test_targets.py", "unit/test_over_tasks.py", "property/test_change_points.py"),
]
_PLUGIN = [
    *(f"unit/test_{n}.py" for n in ("settling", "options", "progress", "permitted_code")),
    *(f"unit/test_{n}.py" for n in ("hostile_files", "existing", "terminal_table")),
    *(
        f"integration/plugin/test_{n}.py"
        for n in (
            "outcomes_of_made_trainings",
            "controller",
            "files",
            "judging_plugin",
            "tags",
            "terminal",
        )
    ),
]
_REPORT = [f"unit/test_{n}.py" for n in ("compare", "comparison", "studies", "over_tasks")]
TESTS = {
    "metrics": _UNIT,
    "results": _UNIT,
    "plugin": _PLUGIN,
    "expectations": _UNIT,
    "report": _REPORT,
}

# Of Cosmic Ray's many replacements of an operator, those that imply the others.
_COMPARISONS = (
    *("Eq_NotEq", "NotEq_Eq", "Lt_LtE", "Lt_GtE", "LtE_Lt", "LtE_Gt"),
    *("Gt_GtE", "Gt_LtE", "GtE_Gt", "GtE_Lt", "Is_IsNot", "IsNot_Is"),
)
_BINARY = (
    *("Add_Sub", "Sub_Add", "Mul_Div", "Div_Mul", "FloorDiv_Mul", "Mod_Mul", "Pow_Mul"),
    *("BitOr_BitAnd", "BitAnd_BitOr"),
)
_OTHERS = (
    *("ReplaceUnaryOperator_USub_UAdd", "ReplaceUnaryOperator_Delete_Not", "AddNot"),
    *("ReplaceTrueWithFalse", "ReplaceFalseWithTrue", "ReplaceAndWithOr", "ReplaceOrWithAnd"),
    *("ReplaceBreakWithContinue", "ReplaceContinueWithBreak", "ExceptionReplacer"),
    *("NumberReplacer", "ZeroIterationForLoop"),
)


_MOST_MEMORY = 4 * 2**30  # bytes of addresses; the tests need less than half of it


class ReplaceFunction(Operator):
    """Calls another function, such as min for max or any for all; abs(x) becomes x."""

    NAMES: ClassVar = {"min": "max", "max": "min", "any": "all", "all": "any", "abs": ""}

    def mutation_positions(self, node: Any) -> Iterator[Any]:
        following = node.get_next_leaf() if node.type == "name" else None
        if node.type == "name" and node.value in self.NAMES and following == "(":
            yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        node.value = self.NAMES[node.value]
        return node

    @classmethod
    def examples(cls) -> Sequence[Any]:
        return ()


OPERATORS: dict[str, Operator] = {
    **{
        name: get_operator(f"core/{name}")()
        for name in (
            *(f"ReplaceComparisonOperator_{n}" for n in _COMPARISONS),
            *(f"ReplaceBinaryOperator_{n}" for n in _BINARY),
            *_OTHERS,
        )
    },
    "ReplaceFunction": ReplaceFunction(),
}


class Mutant(NamedTuple):
    """A changed text of a file, and the function and statement that it changes, or None."""

    file: Path
    line: int
    text: str
    change: str
    function: Optional[str]
    statement: Optional[int]  # its first line

    @property
    def place(self) -> str:
        return f"{self.file}:{self.statement}"


def mutants(file: Path) -> list[Mutant]:
    """Returns all changed texts of a file that mean something else."""
    source = file.read_text(encoding="utf-8")
    plain = _meaning(source)
    places = [(_first_line(s), s.end_lineno or 0) for b in _blocks(ast.parse(source)) for s in b]
    originals = list(functions(compile(source, str(file), "exec")))
    found = []
    for name, operator in OPERATORS.items():
        for occurrence in range(_count(source, operator)):
            text = mutate_code(source, operator, occurrence)
            if text is None or not is_another(text, plain):
                continue
            functions_then = functions(compile(text, str(file), "exec"))
            changed = [
                key
                for (key, code), (_, new) in zip(originals, functions_then)
                if _instructions(code) != _instructions(new)
            ]
            pairs = zip(source.splitlines(), text.splitlines())
            line, before, after = next((n, *p) for n, p in enumerate(pairs, 1) if p[0] != p[1])
            change = f"{before.strip()}  ->  {after.strip()}  ({name})"
            statement = max(
                (first for first, last in places if first <= line <= last), default=None
            )
            function = next(iter(changed), None) if statement else None
            found.append(Mutant(file, line, text, change, function, statement))
    return found


def _instructions(code: CodeType) -> tuple[Any, ...]:
    """Returns what a function does, without its lines: some changes join two of them."""
    constants = (_instructions(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts)
    return (code.co_code, code.co_names, code.co_varnames, *constants)


def _count(source: str, operator: Operator) -> int:
    def count(node: Any) -> int:
        inner = sum(map(count, getattr(node, "children", ())))
        return inner + sum(1 for _ in operator.mutation_positions(node))

    return count(get_ast(source))


def is_another(text: str, plain: str) -> bool:
    """Says whether a changed text is valid and means something else."""
    try:
        return _meaning(text) != plain
    except SyntaxError:
        return False


def _meaning(source: str) -> str:
    """Returns the syntax tree without annotations."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.arguments):  # a marker of one kind in place of another
            node.args = [*node.posonlyargs, *node.args, *node.kwonlyargs]
            node.defaults += filter(None, node.kw_defaults)
            node.posonlyargs, node.kwonlyargs, node.kw_defaults = [], [], []
        for field in ("annotation", "returns"):
            if getattr(node, field, None) is not None:
                setattr(node, field, ast.Constant(None))
    return ast.dump(tree)


def functions(module: CodeType, prefix: str = "") -> Iterator[tuple[str, CodeType]]:
    """Yields the code of all functions and methods by qualified name, without nested ones."""
    for constant in module.co_consts:
        if isinstance(constant, CodeType) and not constant.co_name.startswith("<"):
            name = f"{prefix}{constant.co_name}"
            if constant.co_flags & 0x2:  # new locals: a function, not the body of a class
                yield f"{name}:{constant.co_firstlineno}", constant
            else:
                yield from functions(constant, f"{name}.")


class Killer:
    """A pytest plugin that runs the tests for each mutant."""

    def __init__(self, changed: list[Mutant]) -> None:
        self.changed = changed
        self.survivors: list[Mutant] = []
        self.failed: list[str] = []
        self.is_done = False

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        plugins = session.config.pluginmanager
        # Of this pytest, which runs no scenario; the tests start others.
        plugins.unregister(name="federated-session")
        modules = {module_name(mutant.file) for mutant in self.changed}
        for module in modules.union(*(getattr(p, "_OF_RUNS", ()) for p in plugins.get_plugins())):
            importlib.import_module(module)  # here, not again in each copy
        self.held = held_functions({mutant.file for mutant in self.changed})
        gc.collect()
        gc.freeze()  # a collection in a copy would touch, and so copy, all of this
        callers, seconds, failed = self._callers(session)
        if failed:
            names = "\n  ".join(failed)
            print(f"these fail without any change (MUTATION_DEBUG=FILE shows why):\n  {names}")
            return True
        quickest_first = sorted(session.items, key=lambda item: seconds[item.nodeid])
        for number, mutant in enumerate(self.changed, 1):
            names = callers.get(mutant.place, ())
            items = [item for item in quickest_first if item.nodeid in names]
            if not items or self._survives(session, mutant, items, seconds):
                self.survivors.append(mutant)
                print(f"{number}/{len(self.changed)} survives: {shown(mutant)}", flush=True)
            elif number % 20 == 0:
                print(f"{number}/{len(self.changed)}", flush=True)
        self.is_done = True
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Shows why a test fails without any change, where MUTATION_DEBUG names a file for it."""
        if report.failed:
            self.failed.append(report.nodeid)
            os.write(2, f"\n{report.nodeid}\n{report.longrepr}\n".encode())

    def _callers(
        self, session: pytest.Session
    ) -> tuple[dict[str, set[str]], dict[str, float], list[str]]:
        """Returns the tests that run each statement, how long each takes, and which fail.

        All is recorded in a copy of this process, and statements also in those that tests fork.
        """
        reading, writing = os.pipe()
        calls = os.memfd_create("calls")  # one file, and one place in it, for all copies
        pid = os.fork()
        if not pid:
            recorded: set[tuple[str, str]] = set()
            seconds: dict[str, float] = {}
            files, held, current = {mutant.file for mutant in self.changed}, self.held, [""]

            def record_call(key: str) -> None:
                if (key, current[0]) not in recorded:
                    recorded.add((key, current[0]))
                    os.write(calls, f"{json.dumps((key, current[0]))}\n".encode())

            builtins._called = record_call  # type: ignore
            for file in files:
                replace(
                    held, (c for _, c in functions(compile(_reporting(file), str(file), "exec")))
                )
            quiet(os.environ.get("MUTATION_DEBUG"))
            for item, following in zip(session.items, [*session.items[1:], None]):
                current[0], start = item.nodeid, sum(os.times()[:4])
                run_item(item, following)
                seconds[item.nodeid] = sum(os.times()[:4]) - start
            with os.fdopen(writing, "w") as out:
                out.write(json.dumps([seconds, self.failed]))
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as lines:
            seconds, failed = json.loads(lines.read())
        os.waitpid(pid, 0)
        called: dict[str, set[str]] = defaultdict(set)
        os.lseek(calls, 0, os.SEEK_SET)
        with os.fdopen(calls) as lines:
            for line in lines:
                key, nodeid = json.loads(line)
                called[key].add(nodeid)
        return called, seconds, failed

    def _survives(
        self, session: pytest.Session, mutant: Mutant, items: list[Any], seconds: dict[str, float]
    ) -> bool:
        pid = os.fork()
        if not pid:
            quiet()
            try:
                codes = dict(functions(compile(mutant.text, str(mutant.file), "exec")))
                replace(self.held, [codes[mutant.function or ""]])
                for item, following in zip(items, [*items[1:], None]):
                    end_after(10 + 10 * int(seconds[item.nodeid]))
                    run_item(item, following)
                    if session.testsfailed:
                        os._exit(1)
                os._exit(0)
            finally:
                os._exit(1)  # an error that pytest itself does not survive
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def end_after(seconds: int) -> None:
    """Ends this process after so many seconds of processor time, or 30 times that wall time.

    A loop that never ends may also fill the memory.
    """
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.alarm(30 * seconds)


def run_item(item: Any, following: Any) -> None:
    item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)


def quiet(out: Optional[str] = None) -> None:
    nowhere = os.open(out or os.devnull, os.O_WRONLY | os.O_CREAT)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


def module_name(file: Path) -> str:
    inside = file.relative_to(PACKAGE.parent).with_suffix("")
    return ".".join(inside.parts).removesuffix(".__init__")


Places = dict[tuple[str, str, int], list[FunctionType]]  # by file, name and first line


def held_functions(files: set[Path]) -> Places:
    """Returns all function objects of these files, wherever they are held."""
    gc.unfreeze()  # the plugin freezes what it has read, which would not be listed
    names, found = {str(file) for file in files}, defaultdict(list)
    for one in gc.get_objects():
        if type(one) is FunctionType and one.__code__.co_filename in names:
            code = one.__code__
            found[code.co_filename, code.co_name, code.co_firstlineno].append(one)
    return found


def replace(held: Places, codes: Iterable[CodeType]) -> None:
    """Gives functions, and functions defined inside them, their new code."""
    for code in codes:
        for function in held.get((code.co_filename, code.co_name, code.co_firstlineno), ()):
            if function.__code__.co_freevars == code.co_freevars:
                function.__code__ = code
        replace(held, (inner for inner in code.co_consts if isinstance(inner, CodeType)))


def _reporting(file: Path) -> ast.Module:
    """Returns the syntax tree of a file whose functions report each statement by its first line."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for block in _blocks(tree):
        for place, statement in reversed(list(enumerate(block))):
            if not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)):
                call = ast.parse(f"_called({f'{file}:{_first_line(statement)}'!r})").body[0]
                block.insert(place, ast.increment_lineno(call, statement.lineno - 1))
    return tree


def _blocks(tree: ast.Module) -> list[list[ast.stmt]]:
    """Returns the statements of functions: each list of them, also those inside others."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    nodes = {id(node): node for function in functions for node in ast.walk(function)}
    blocks = (
        getattr(node, name, None)
        for node in nodes.values()
        for name in ("body", "orelse", "finalbody")
    )
    return [block for block in blocks if isinstance(block, list)]  # a lambda's is no list


def _first_line(statement: ast.stmt) -> int:
    decorators = getattr(statement, "decorator_list", [])
    return min(node.lineno for node in (statement, *decorators))


class Finder(importlib.abc.MetaPathFinder, importlib.abc.SourceLoader):
    """Imports modules from changed code."""

    def __init__(self, changed: dict[Path, CodeType]) -> None:
        self.changed = {module_name(file): (file, code) for file, code in changed.items()}

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        if name not in self.changed:
            return None
        return importlib.util.spec_from_file_location(name, self.changed[name][0], loader=self)

    def get_filename(self, fullname: str) -> str:
        return str(self.changed[fullname][0])

    def get_data(self, path: Any) -> bytes:
        raise OSError(path)

    def get_code(self, fullname: str) -> Any:
        return self.changed[fullname][1]


def called_by_imports(files: list[Path], tests: list[str]) -> set[str]:
    """Returns the statements that are run while tests are collected, by file and first line.

    Among them are those that make expectations of metrics: what is done then is done, so that their
    faults, too, have to be there before.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        called: set[str] = set()
        builtins._called = called.add  # type: ignore
        sys.meta_path.insert(0, Finder({f: compile(_reporting(f), str(f), "exec") for f in files}))
        quiet()
        pytest.main(["--collect-only", *ARGUMENTS, *tests])
        with os.fdopen(writing, "w") as out:
            out.write(json.dumps(sorted(called)))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as lines:
        called_then = set(json.loads(lines.read()))
    os.waitpid(pid, 0)
    return called_then


def survives_import(mutant: Mutant, tests: list[str], limit: int) -> bool:
    """Whether no test fails where the module is imported from the mutant's text.

    The first files alone are collected much faster than all, and kill most.
    """
    parts = filter(None, (tests[:3], tests[3:]))
    return all(_survives_import(mutant, part, limit) for part in parts)


def _survives_import(mutant: Mutant, tests: list[str], limit: int) -> bool:
    pid = os.fork()
    if not pid:
        end_after(limit)
        quiet()
        code = compile(mutant.text, str(mutant.file), "exec")
        sys.meta_path.insert(0, Finder({mutant.file: code}))
        os._exit(int(pytest.main(["-x", *ARGUMENTS, *tests])))
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


ARGUMENTS = ["-q", "-n0", "-p", "no:cacheprovider", "-p", "no:randomly", "-m", "not tff"]


def shown(mutant: Mutant) -> str:
    return f"{mutant.file.relative_to(PACKAGE)}:{mutant.line}: {mutant.change}"


def score(folder: str, only: str, lines: set[int], since: str, chosen: Sequence[str]) -> None:
    """Prints the survivors and the score of a folder, or of files and lines of it."""
    tests = list(chosen) or [f"tests/{name}" for name in TESTS[folder]]
    files = sorted(f for p in FOLDERS[folder] for f in PACKAGE.glob(p))
    files = [f for f in files if any(name in f.name for name in only.split(","))]
    all_of_them = [m for f in files for m in mutants(f)]
    if lines:
        all_of_them = [m for m in all_of_them if m.line in lines]
    if since:
        changed = {file: lines_since(since, file) for file in files}
        all_of_them = [m for m in all_of_them if m.line in changed[m.file]]
    if not all_of_them:
        return print(f"{folder}: nothing to change")
    inside = [m for m in all_of_them if m.function]
    outside = [m for m in all_of_them if not m.function]
    print(f"{folder}: {len(inside)} inside functions, {len(outside)} outside", flush=True)
    then = called_by_imports(files, tests)
    survivors = surviving(inside, tests)
    count = sum(1 for m in survivors if m.place not in then)
    again = [*outside, *(m for m in survivors if m.place in then)]
    for number, mutant in enumerate(again, 1):
        if survives_import(mutant, tests, 90):
            count += 1
            print(f"{number}/{len(again)} survives import: {shown(mutant)}", flush=True)
    total = len(all_of_them)
    print(f"{folder}: {total - count} of {total} killed, {100 * (total - count) / total:.1f} %")


def lines_since(commit: str, file: Path) -> set[int]:
    """Returns the lines of a file that are new or another since a commit."""
    command = ["git", "diff", "--unified=0", commit, "--", str(file)]
    text = subprocess.run(command, check=True, capture_output=True, encoding="utf-8").stdout
    hunks = re.findall(r"^@@ -\S+ \+(\d+)(?:,(\d+))? @@", text, re.MULTILINE)
    return {int(first) + n for first, count in hunks for n in range(int(count or 1))}


def surviving(inside: list[Mutant], tests: list[str]) -> list[Mutant]:
    """Returns the mutants with which no test fails that runs the changed statement."""
    killer = Killer(inside)
    reading, writing = os.pipe()
    pid = os.fork()  # so that the next folder begins without what pytest imports here
    if not pid:
        with contextlib.suppress(BrokenPipeError):
            pytest.main([*ARGUMENTS, "--capture=sys", *tests], plugins=[killer])
        if killer.is_done:
            places = [inside.index(mutant) for mutant in killer.survivors]
            os.write(writing, json.dumps(places).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as stream:
        places = stream.read()
    os.waitpid(pid, 0)
    if not places:
        raise SystemExit("no score: tests fail without any change, or were interrupted")
    return [inside[place] for place in json.loads(places)]


def main() -> None:
    parser = argparse.ArgumentParser(description="Mutation scores")
    parser.add_argument("places", nargs="*", default=list(FOLDERS), metavar="FOLDER:FILE:LINES")
    parser.add_argument("--since", default="", metavar="COMMIT")
    parser.add_argument("--tests", nargs="+", default=[], metavar="TEST")
    options = parser.parse_args()
    os.chdir(ROOT)
    for place in options.places:
        folder, only, lines, *_ = (*place.split(":"), "", "")
        numbers = {int(line) for line in lines.split(",") if line}
        score(folder, only, numbers, options.since, options.tests)


if __name__ == "__main__":
    main()
