"""The examples of clients in an SQLite file of TFF's format, read in one pass.

Source: https://www.tensorflow.org/federated/api_docs/python/tff/simulation/datasets/SqlClientData
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Optional

import numpy as np

from pytest_federated.core.progress import tracked

# Rows are parsed together until there are so many, or so many bytes of them.
_BATCH_ROWS = 4096
_BATCH_BYTES = 1 << 22


class SqlRows(NamedTuple):
    """Some rows: serialized `tf.train.Example` messages, and whose they are.

    `clients` is int (rows,), positions in the names that were asked for.
    """

    clients: np.ndarray
    messages: list[bytes]


@dataclass(frozen=True)
class SqlSplit:
    """The rows of one split, such as those for testing."""

    file: Path
    name: str

    def clients(self) -> list[str]:
        """Returns the names of its clients, in TFF's order."""
        with self._opened() as database:
            query = "SELECT DISTINCT client_id FROM client_metadata WHERE split_name = ?"
            return sorted(str(name) for (name,) in database.execute(query, (self.name,)))

    def rows(
        self, clients: Sequence[str], title: str, most: Optional[int] = None
    ) -> Iterator[SqlRows]:
        """Reads the rows of these clients once, and shows the progress under this title.

        Clients may be mixed; the rows of a client come in the order of the file, which is TFF's,
        and at most the first `most` of them.
        """
        position = {name: i for i, name in enumerate(clients)}
        counts = [0] * len(clients)
        with self._opened() as database:
            database.execute("CREATE TEMP TABLE wanted (client_id TEXT PRIMARY KEY)")
            database.executemany("INSERT INTO wanted VALUES (?)", ((name,) for name in position))
            of_these = "split_name = ? AND client_id IN wanted"
            total = f"SELECT SUM(num_examples) FROM client_metadata WHERE {of_these}"
            (rows,) = database.execute(total, (self.name,)).fetchone()
            # An index, if the file has one, helps to find a few clients; to find most of them it
            # would have the disk jump back and forth.
            few = 2 * len(clients) < len(self.clients())
            table = "examples" if few else "examples NOT INDEXED"
            query = f"SELECT client_id, serialized_example_proto FROM {table} WHERE {of_these}"
            owners: list[int] = []
            messages: list[bytes] = []
            read = size = 0
            with tracked(title, rows or 0) as advance:
                for name, message in database.execute(query, (self.name,)):
                    client = position[name]
                    counts[client] += 1
                    read += 1
                    if most is None or counts[client] <= most:
                        owners.append(client)
                        messages.append(message)
                        size += len(message)
                    if len(messages) == _BATCH_ROWS or size > _BATCH_BYTES:
                        yield SqlRows(np.array(owners), messages)
                        advance(read)
                        owners, messages, read, size = [], [], 0, 0
                if messages:
                    yield SqlRows(np.array(owners), messages)

    def _opened(self) -> Any:
        return closing(sqlite3.connect(f"{self.file.absolute().as_uri()}?mode=ro", uri=True))
