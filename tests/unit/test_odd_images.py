"""Images of any depth and format: scaled to 0 to 1, or refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_data import dataset
from odd_data import (
    ARRAYS,
    BYTES,
    RNG,
    N,
    draw,
    features,
    picture,
    refusal,
)

pytestmark = pytest.mark.usefixtures("in_tmp_path")


DEEP = np.array([[0, 1000, 30000], [40000, 65534, 65535]], np.uint16)
COLORS = np.stack([BYTES, BYTES // 2, BYTES // 3], axis=-1)


def pgm(levels: np.ndarray) -> bytes:
    return b"P5 3 2 65535\n" + levels.astype(">u2").tobytes()


def big_endian(levels: np.ndarray) -> Any:
    from PIL import Image

    return Image.frombytes("I;16B", (3, 2), levels.astype(">u2").tobytes())


def with_alpha() -> np.ndarray:
    return np.concatenate([COLORS, BYTES[..., np.newaxis]], axis=-1)


IMAGES: dict[str, tuple[str, Callable[[], Any], np.ndarray]] = {
    "8 bits": ("png", lambda: picture(BYTES), BYTES / 255),
    "16-bit PNG": ("png", lambda: picture(DEEP), DEEP / 65535),
    "16-bit TIFF": ("tif", lambda: picture(DEEP), DEEP / 65535),
    "16-bit TIFF, big-endian": ("tif", lambda: big_endian(DEEP), DEEP / 65535),
    "16-bit PGM": ("pgm", lambda: pgm(DEEP), DEEP / 65535),
    "12 bits in 16": ("png", lambda: picture(DEEP // 16), (DEEP // 16) / 65535),
    "float TIFF": ("tif", lambda: picture((DEEP / 65535).astype(np.float32)), DEEP / 65535),
    "1 bit": ("png", lambda: picture((BYTES > 100) * np.uint8(255), "1"), BYTES > 100),
    "palette of grays": ("png", lambda: picture(BYTES, "P"), BYTES / 255),
    "gray with alpha": ("png", lambda: picture(np.stack([BYTES, BYTES], -1)), BYTES / 255),
    "colors": ("png", lambda: picture(COLORS), COLORS / 255),
    "colors with alpha": ("png", lambda: picture(with_alpha()), COLORS / 255),
    "palette of colors": ("gif", lambda: picture(COLORS).quantize(), COLORS / 255),
    "CMYK": ("tif", lambda: picture(COLORS, "CMYK"), COLORS / 255),
}


def as_folder(files: list[str]) -> dict[str, Any]:
    return {"image_folder": str(Path(files[0]).parts[0])}


def as_encoded(files: list[str]) -> dict[str, Any]:
    import datasets as hf

    images = [{"bytes": Path(f).read_bytes(), "path": None} for f in files]
    types = hf.Features(image=hf.Image(), label=hf.Value("int64"))
    columns = {"image": images, "label": [0] * len(files)}
    hf.Dataset.from_dict(columns, features=types).save_to_disk("saved")
    return {"huggingface": "saved"}


@pytest.mark.parametrize("kind", IMAGES)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("read", [as_folder, as_encoded])
def test_images_are_scaled_to_0_to_1(read: Any, channels: int, kind: str) -> None:
    ending, make, expected = IMAGES[kind]
    draw(f"i/x/1.{ending}", make())
    x = features(**read([f"i/x/1.{ending}"]), channels=channels)
    assert (x.shape, x.dtype) == ((1, 2, 3, channels), np.float32)
    if expected.ndim == 2:
        expected = np.repeat(expected[..., np.newaxis], channels, axis=-1)
    within = 0.01 if kind == "palette of colors" else 2e-7
    if expected.shape[2] != channels:  # ITU-R 601-2 luma, in whole levels
        expected = (expected @ [0.299, 0.587, 0.114])[..., np.newaxis]
        within += 0.51 / 255
    np.testing.assert_allclose(x[0], expected, atol=within)


@pytest.mark.parametrize("read", [as_folder, as_encoded])
def test_images_of_several_depths_can_be_mixed(read: Any) -> None:
    expected = []
    for number in range(6):
        levels, largest = ((DEEP, 65535), (BYTES, 255))[number % 2]
        turned = np.roll(levels, number, axis=1)
        draw(f"i/x/{number}.png", picture(turned))
        expected.append(turned / largest)
    chosen = read([f"i/x/{n}.png" for n in range(6)])
    rows = dataset(**chosen, channels=1).load(None).train.x
    for index in ([5, 0], [1], [0, 2], [4, 3, 3, 1], [0, 1, 2, 3, 4, 5]):
        np.testing.assert_allclose(
            rows[np.array(index)][..., 0], np.stack([expected[i] for i in index]), atol=1e-7
        )


def test_a_16_bit_image_is_resized() -> None:
    draw("i/x/1.png", picture(np.full((9, 7), 40000, np.uint16)))
    draw("i/x/2.png", picture(np.full((5, 5), 51, np.uint8)))
    x = features(image_folder="i", size=[4, 2])
    assert x.shape == (2, 4, 2, 3)
    np.testing.assert_allclose(x[0], 40000 / 65535, atol=1e-6)
    np.testing.assert_allclose(x[1], 0.2, atol=1e-6)


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        (DEEP.astype(np.float32), "gray levels from 0 to 65535, floats"),
        (np.array([[-0.5, 1]], np.float32), "gray levels from -0.5 to 1, floats"),
        (np.array([[np.nan, 1]], np.float32), "gray levels from nan to nan, floats"),
        (DEEP.astype(np.int32) - 1000, "gray levels from -1000 to 64535, whole numbers of 32 bits"),
    ],
)
def test_images_whose_white_level_is_unknown_are_refused(
    levels: np.ndarray, message: str, in_tmp_path: Path
) -> None:
    draw("i/x/1.tif", picture(levels))
    assert refusal(lambda: features(image_folder="i"), in_tmp_path) == (
        f"i/x/1.tif: {message}: which level is white is unknown; "
        "save it with 8 or 16 bits, or with floats from 0 to 1"
    )


@pytest.mark.parametrize("write", ARRAYS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_arrays_of_levels_are_images_from_three_dimensions_on(write: Any, dtype: Any) -> None:
    largest = np.iinfo(dtype).max
    x = RNG.integers(largest, size=(N, 4, 3), endpoint=True).astype(dtype)
    read = features(**write(x))
    np.testing.assert_allclose(read.reshape(x.shape), x / largest, rtol=1e-6)


@pytest.mark.parametrize("write", ARRAYS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float64])
def test_columns_stay_as_they_are_whatever_their_type(write: Any, dtype: Any) -> None:
    one_hot = np.eye(3)[np.arange(N) % 3]
    x = np.column_stack([one_hot, np.arange(N) % 7 + 20]).astype(dtype)
    np.testing.assert_array_equal(features(**write(x)), x.astype(np.float32))
