"""Choices of a scenario as text."""

from __future__ import annotations

from typing import Any

from pytest_federated.core.schema import Usual
from pytest_federated.registry.registry import Registry

LISTED = 12  # items of a list that are shown


def choice_text(registry: Registry[Any, ..., Any], choice: dict[str, Any]) -> str:
    """A choice and its parameters, as ``dirichlet (alpha 0.5)``.

    Numbers are always shown; words, and the framework's own keys, only where they are not the
    defaults. Of a choice that is not registered any more, all but the name is shown as it is.
    """
    name = choice["kind"]
    entry = registry.get(name)
    keywords = entry.keywords if entry else ()
    fields = entry.params.model_fields if entry else {}

    def is_plain(key: str) -> bool:
        value = choice[key]
        is_number = isinstance(value, (int, float, list)) and not isinstance(value, bool)
        if (key in keywords and is_number) or key not in fields:
            return False
        usual = [note.value for note in fields[key].metadata if isinstance(note, Usual)]
        return value in (fields[key].default, *usual)

    # In the order of the function: a record that was read back has its keys sorted.
    places = {key: place for place, key in enumerate(keywords)}
    keys = [k for k in choice if k != "kind"]
    keys.sort(key=lambda k: (places.get(k, len(places)), k))
    shown = ", ".join(f"{k} {_plain(choice[k], registry)}" for k in keys if not is_plain(k))
    return f"{name} ({shown})" if shown else name


def _plain(value: Any, registry: Registry[Any, ..., Any]) -> str:
    if isinstance(value, dict) and value.get("kind") in registry:  # a choice within a choice
        return choice_text(registry, value)
    if isinstance(value, dict):  # a setting of its own, such as a schedule
        # In the order of a record that was read back; what is empty says nothing.
        keys = sorted(k for k in value if k != "kind" and value[k] is not None)
        text = ", ".join(f"{k} {_plain(value[k], registry)}" for k in keys)
        if "kind" not in value:
            return text
        return f"{value['kind']} ({text})" if text else value["kind"]
    if isinstance(value, list) and value and isinstance(value[0], list):
        return f"of {len(value)} x {len(value[0])}"
    if isinstance(value, list):
        shown = "-".join(_plain(v, registry) for v in value[:LISTED])
        return f"{shown}-..." if len(value) > LISTED else shown
    return f"{value:g}" if isinstance(value, float) else str(value)
