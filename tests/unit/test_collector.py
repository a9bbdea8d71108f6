"""Python's garbage collector is left as it was."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_federated.core import collector

DEFAULT = (700, 10, 10)


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before, was_enabled = gc.get_threshold(), gc.isenabled()
    yield
    gc.set_threshold(*before)
    (gc.enable if was_enabled else gc.disable)()


@pytest.mark.parametrize("is_enabled", [True, False])
def test_a_pause_ends_with_its_block(is_enabled: bool) -> None:
    (gc.enable if is_enabled else gc.disable)()
    with pytest.raises(ValueError), collector.paused():
        assert not gc.isenabled()
        raise ValueError
    assert gc.isenabled() == is_enabled


def test_collections_are_rare_in_a_block_only() -> None:
    gc.set_threshold(*DEFAULT)
    with pytest.raises(ValueError), collector.rare():
        assert gc.get_threshold()[0] > DEFAULT[0]
        with collector.rare():
            assert gc.get_threshold()[0] > DEFAULT[0]
        assert gc.get_threshold()[0] > DEFAULT[0]
        raise ValueError
    assert gc.get_threshold() == DEFAULT


@pytest.mark.parametrize("own", [(0, 10, 10), (50_000, 20, 20)])
def test_who_has_set_it_otherwise_keeps_that(own: tuple[int, int, int]) -> None:
    gc.set_threshold(*own)
    with collector.rare():
        assert gc.get_threshold() == own
    assert gc.get_threshold() == own


def resident() -> int:
    """Returns how much memory this process has, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def test_what_is_free_between_what_is_used_is_returned() -> None:
    blocks = [bytearray(b"x" * 50_000) for _ in range(1_000)]
    used = blocks[::20]
    del blocks
    before = resident()
    collector.return_freed()
    assert before - resident() > 30_000_000
    assert all(block == b"x" * 50_000 for block in used)
