"""What names say: which columns and arrays hold labels, clients or parts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Optional

# The most telling first.
_LABELS = (
    *("label", "labels", "target", "targets", "class", "classes", "y", "outcome", "diagnosis"),
    *("species", "category", "result", "response", "survived", "churn", "default", "died"),
    *("death", "mortality", "readmitted", "income", "quality", "finding", "sentiment", "rating"),
    *("price", "progression"),
)
_AMOUNTS = ("price", "value", "cost")  # at the end of the only such name
_CLIENTS = (
    *("client", "user", "hospital", "site", "center", "centre", "clinic", "institution"),
    *("institute", "ward", "bank", "school", "branch", "store", "shop", "device", "silo", "party"),
    *("node", "writer", "speaker", "author", "subject", "participant", "patient", "customer"),
    *("person", "station", "sensor", "machine", "factory", "region", "country", "city", "district"),
    *("county", "owner", "photographer"),
)
_OF_CLIENTS = ("id", "ids", "name", "no", "nr", "number", "code", "idx", "index")
_PARTS = ("split", "part", "set", "subset", "partition", "phase", "fold")


def words(name: str) -> tuple[str, ...]:
    """Returns the words of a name such as ``hospital_id``, ``HospitalID`` or ``hospital (id)``."""
    apart = re.sub(r"([a-z])([A-Z])", r"\1 \2", name)
    return tuple(word for word in re.split(r"[\W_]+", apart.lower()) if word)


def label_like(names: Iterable[str]) -> Optional[str]:
    """Returns the name that says most clearly that it is that of labels; None if none does."""
    by_words = {name: words(name) for name in names}
    for word in _LABELS:
        for name, own in by_words.items():
            if own == (word,):
                return name
    for word in _LABELS[:8]:
        for name, own in by_words.items():
            if word in own and len(own) <= 3:
                return name
    amounts = [name for name, own in by_words.items() if own and own[-1] in _AMOUNTS]
    return amounts[0] if len(amounts) == 1 else None


def client_like(names: Iterable[str]) -> list[str]:
    """Returns the names that say that they are those of clients, the clearest first."""
    by_words = {name: [w for w in words(name) if w not in _OF_CLIENTS] for name in names}
    found = [
        (_CLIENTS.index(word), name)
        for name, own in by_words.items()
        for word in [own[0].rstrip("s") if len(own) == 1 else ""]
        if word in _CLIENTS
    ]
    return [name for _, name in sorted(found, key=lambda place: place[0])]


def part_like(names: Iterable[str]) -> list[str]:
    """Returns the names that may say which rows are for training, and which for testing."""
    return [name for name in names if set(words(name)) & {*_PARTS}]


def as_name(text: str) -> str:
    """Returns a text as the name of a scenario: letters, digits and single hyphens."""
    name = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    return name[:40].strip("-") or "data"


def first_of(candidates: Sequence[str], names: Iterable[str]) -> Optional[str]:
    """Returns the first of the candidates that is among the names, whatever its case."""
    by_lower = {name.lower(): name for name in names}
    return next((by_lower[c] for c in candidates if c in by_lower), None)
