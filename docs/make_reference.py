"""Writes docs/reference.md from the registries of all concepts.

Run this after a change to anything that a scenario file can choose:
``uv run python docs/make_reference.py [DIR]``. test_documentation.py compares the committed page
with what this writes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pages import as_entry, as_yaml, summary
from pytest_federated.core.schema import Section
from pytest_federated.registry.choice import Choices, choice_of
from pytest_federated.registry.concepts import concepts
from pytest_federated.registry.registry import Registry
from pytest_federated.scenario.schema import Scenario

INTRODUCTION = """\
# Reference

<!-- Made by docs/make_reference.py from the registries; not edited by hand. -->

Everything that a scenario file can choose by name, with its keys. [scenarios.md](scenarios.md)
describes the other keys of a scenario file. Register your own entry with the decorator of its
concept, such as `@pytest_federated.split("mine")`, in a `conftest.py` or in an installed package
that names its modules in the entry point group `pytest_federated`.
"""

# Pages that describe a concept's entries; this page describes the entries of the other concepts.
PAGES = {
    "aggregators": "algorithms.md#aggregators",
    "algorithms": "algorithms.md",
    "datasets": "datasets.md",
    "metrics": "reference.md#expectations",
    "optimizers": "algorithms.md#optimizers",
    "schedules": "algorithms.md#schedules",
    "shifts": "splits.md#shifts-what-is-different-about-a-clients-examples",
    "sizes": "splits.md#sizes-how-many-examples",
    "splits": "splits.md",
}


def main() -> None:
    """Writes the page into the folder named on the command line, or into this one."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    keys = dict(_keys(Scenario, ""))
    chapters = [_chapter(plural, registry, keys) for plural, registry in concepts().items()]
    (folder / "reference.md").write_text("\n".join([INTRODUCTION, *chapters]), encoding="utf-8")


def _chapter(
    plural: str, registry: Registry[Any, ..., Any], keys: dict[str, Registry[Any, ..., Any]]
) -> str:
    where = ", ".join(f"`{key}`" for key, chosen in keys.items() if chosen is registry)
    parts = [f"## {plural.capitalize()}\n", f"What {where} can be." if where else ""]
    if page := PAGES.get(plural):
        parts[-1] += f" Described in [{page.partition('#')[0]}]({page})."
    entries = [registry[name] for name in registry.names()]
    rows = [
        f"| `{e.name}` | {', '.join(f'`{k}`' for k in e.keywords)} | {summary(e)} |"
        for e in entries
    ]
    parts += ["", "| name | keys | in short |", "|---|---|---|", *rows, ""]
    if not page:
        parts += [as_entry(entry, _example(entry.spec.example)) for entry in entries]
    return "\n".join(parts)


def _example(example: Any) -> str:
    return f"For example `{as_yaml(dict(example))}`." if example else ""


def _keys(section: type[Section], path: str) -> Iterator[tuple[str, Registry[Any, ..., Any]]]:
    """Yields each dotted key at which a scenario chooses from a registry, with that registry."""
    for name, field in section.model_fields.items():
        key = f"{path}{name}"
        for note in field.metadata:
            if isinstance(note, Choices):
                yield key, note.registry
        if choice := choice_of(field):
            yield key, choice.registry
            for entry in map(choice.registry.__getitem__, choice.registry.names()):
                yield from _nested(entry.params, f"{key}.", choice.registry)
        elif isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from _keys(field.annotation, f"{key}.")


def _nested(
    params: type[Section], path: str, outer: Registry[Any, ..., Any]
) -> Iterator[tuple[str, Registry[Any, ..., Any]]]:
    """Yields the keys at which an entry chooses from a registry other than its own."""
    for name, field in params.model_fields.items():
        choice = choice_of(field)
        if choice and choice.registry is not outer:
            yield f"{path}{name}", choice.registry


if __name__ == "__main__":
    main()
