"""Formats registered functions for the pages that the scripts in this folder make."""

from __future__ import annotations

import inspect
import json
import re
import sys
from pathlib import Path
from typing import Any

from pytest_federated.registry.choice import CHOICE
from pytest_federated.registry.entry import Entry

_WORDS = {"number": "a number", "integer": "an integer", "string": "text", "object": "a mapping"}


def write_between(page: Path, script: str, source: str, text: str) -> None:
    """Writes a page with `text` between the two lines that name the script that makes it.

    The page is written into the folder named on the command line, or into its own.

    Args:
        page: the committed page.
        script: the name of the script.
        source: what the script reads, for the first line: ``the registry``.
        text: the generated text.

    """
    begin = f"<!-- Made by docs/{script} from {source}; not edited by hand. -->"
    end = f"<!-- End of what docs/{script} makes. -->"
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else page.parent
    before, _, rest = page.read_text(encoding="utf-8").partition(begin)
    after = rest.partition(end)[2]
    written = f"{before}{begin}\n\n{text}\n\n{end}{after}"
    (folder / page.name).write_text(written, encoding="utf-8")


def as_entry(entry: Entry[Any, Any], example: str) -> str:
    """Returns heading, description, keys and source of a registered function."""
    text = inspect.getdoc(entry.function) or ""
    text = text.partition("\nRaises:")[0].strip()
    paragraphs = [" ".join(p.split()) for p in text.split("\n\n")]
    plain = [_marked(p) for p in paragraphs if not p.startswith("Source:")]
    sources = [_linked(p) for p in paragraphs if p.startswith("Source:")]
    parts = [f"### {entry.name}", *plain, *_keys(entry), *([example.strip()] if example else [])]
    return "\n\n".join([*parts, *sources]) + "\n"


def _keys(entry: Entry[Any, Any]) -> list[str]:
    """Returns a table of the function's keys, from the JSON Schema that validates them."""
    schema = entry.params.model_json_schema()
    rows = []
    for key in entry.keywords:
        field = schema["properties"][key]
        value = field.get("default")
        default = "none" if value is None else f"`{as_yaml(value)}`"
        default = "needed" if key in schema.get("required", ()) else default
        about = field.get("description", "")
        rows.append(f"| `{key}` | {_allowed(field, key)} | {default} | {about} |")
    if not rows:
        return []
    return ["\n".join(["| key | allowed | default | |", "|---|---|---|---|", *rows])]


def _allowed(schema: dict[str, Any], key: str = "") -> str:
    if "enum" in schema:
        return ", ".join(f"`{v}`" for v in schema["enum"])
    if schema.get("type") == "array":
        return f"list: {_allowed(schema['items'])}"
    if schema.get("type") == "boolean":
        return "`true`, `false`"
    if CHOICE in schema:
        return f"a {key}"
    if "anyOf" in schema:
        if any(CHOICE in one for one in schema["anyOf"]):
            return f"a {key}"
        return " or ".join(_allowed(one) for one in schema["anyOf"] if one.get("type") != "null")
    words = _WORDS.get(schema.get("type", ""), "anything")
    for bound, sign in [
        ("exclusiveMinimum", "above"),
        ("minimum", "at least"),
        ("exclusiveMaximum", "below"),
        ("maximum", "at most"),
    ]:
        if bound in schema:
            words += f", {sign} {schema[bound]:g}"
    return words


def as_yaml(value: Any) -> str:
    """Returns a value as YAML on one line, as in a scenario file."""
    if isinstance(value, dict):
        if set(value) == {"kind"}:
            return str(value["kind"])
        return "{" + ", ".join(f"{k}: {as_yaml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(as_yaml(v) for v in value) + "]"
    return f"{value:g}" if isinstance(value, float) else json.dumps(value).strip('"')


def summary(entry: Entry[Any, Any]) -> str:
    """Returns the first line of a registered function's description."""
    return _marked(entry.summary)


def _marked(text: str) -> str:
    """Returns the text with keys as code and asterisks escaped."""
    return re.sub(r"(?<!`)\bclients\.size\b(?!`)", "`clients.size`", text).replace("*", "\\*")


def _linked(text: str) -> str:
    return re.sub(r"arXiv:(\d{4}\.\d{5})", r"[arXiv:\1](https://arxiv.org/abs/\1)", text)
