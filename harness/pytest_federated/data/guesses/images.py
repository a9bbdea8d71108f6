"""The size and the colors of images, from the headers of some of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from pytest_federated.core.errors import DataError
from pytest_federated.data.guesses.guess import Guess

SCALED = 32  # pixels of a side, of images of several sizes
_MOST_PIXELS = 64  # of a side, beyond which images are scaled
_LOOKED_AT = 200  # images whose size is read


def add_size(guess: Guess, images: Sequence[Path]) -> None:
    """Adds channels and size, from the headers of some images."""
    from PIL import Image

    step = -(-len(images) // _LOOKED_AT)
    sizes: Counter[tuple[int, int]] = Counter()
    modes: set[str] = set()
    for file in images[::step]:
        try:
            with Image.open(file) as image:
                sizes[image.size] += 1
                modes.add(image.mode)
        except Exception as error:  # Pillow's readers raise errors of many kinds
            raise DataError(f"{file} cannot be read as an image: {error}") from error
    if all(mode in ("1", "L", "LA", "F") or mode.startswith("I") for mode in modes):
        guess.add("channels", 1, "gray levels")
    (width, height), _ = sizes.most_common(1)[0]
    if len(sizes) > 1:
        guess.add("size", [SCALED, SCALED], f"images of {len(sizes)} sizes, scaled to one")
    elif max(width, height) > _MOST_PIXELS:
        scale = _MOST_PIXELS / max(width, height)
        size = [max(1, round(height * scale)), max(1, round(width * scale))]
        guess.add("size", size, f"scaled from {height} × {width}, to train faster")
