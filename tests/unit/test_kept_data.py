"""What was read of data sets is kept, but not that of all data sets of a session."""

from __future__ import annotations

from pytest_federated.data.datasets.kept import _MOST, forget, kept


def test_the_last_ones_are_kept_of_all_readers_together() -> None:
    read: list[tuple[str, int]] = []

    @kept
    def one(number: int) -> object:
        read.append(("one", number))
        return object()

    @kept
    def other(number: int) -> object:
        read.append(("other", number))
        return object()

    first = one(0)
    for number in range(_MOST - 1):
        other(number)
    assert one(0) is first, "used again, so it is not the oldest"
    other(_MOST)
    assert one(0) is first
    other(0)
    assert read == [("one", 0), *(("other", n) for n in (*range(_MOST - 1), _MOST, 0))]
    forget()
    assert one(0) is not first
