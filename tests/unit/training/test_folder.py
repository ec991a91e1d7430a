"""A folder of images: refused whole, with the file that is wrong, before anything is measured."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from pytest_sdbatch.errors import OptionError
from pytest_sdbatch.training.folder import look_at, read_images


def picture(path: Path, size: tuple[int, int] = (32, 16), color: tuple[int, int, int] = (255, 0, 0)) -> None:
    """Write an image of (width, height)."""
    Image.new("RGB", size, color).save(path)


def a_good_one(folder: Path) -> None:
    """Write the first image."""
    picture(folder / "a.png")


def cut(folder: Path) -> None:
    """Write a file whose header is good and whose end is missing."""
    a_good_one(folder)
    Image.effect_noise((64, 64), 50).convert("RGB").save(folder / "b.jpg")
    whole = (folder / "b.jpg").read_bytes()
    (folder / "b.jpg").write_bytes(whole[: len(whole) // 2])


def no_image(folder: Path) -> None:
    """Write text under the name of an image."""
    a_good_one(folder)
    (folder / "b.png").write_text("not an image")


def mixed(folder: Path) -> None:
    """Write two sizes."""
    a_good_one(folder)
    picture(folder / "b.png", size=(32, 32))


def nothing(folder: Path) -> None:
    """Write a file that is no image."""
    (folder / "notes.txt").write_text("x")


@pytest.mark.parametrize(
    ("fill", "said"),
    [
        (nothing, "holds no image"),
        (cut, r"b\.jpg cannot be read"),
        (no_image, r"b\.png cannot be read"),
        (mixed, r"several sizes: a\.png is 16x32, b\.png 32x32"),
    ],
)
def test_a_folder_that_is_wrong_is_refused(fill: Callable[[Path], None], said: str, tmp_path: Path) -> None:
    """The message names the option and the file."""
    fill(tmp_path)

    with pytest.raises(OptionError, match=f"sd_train_data: .*{said}"):
        look_at(tmp_path, spelled="sd_train_data")


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """As typing errors are."""
    with pytest.raises(OptionError, match="is no folder"):
        look_at(tmp_path / "x", spelled="sd_train_data")


def test_images_and_captions_are_found(tmp_path: Path) -> None:
    """In the order of their names, whatever the case of the suffix; a caption lies beside its image."""
    picture(tmp_path / "b.PNG")
    a_good_one(tmp_path)
    (tmp_path / "b.txt").write_text(" a cat \n")

    found = look_at(tmp_path, spelled="sd_train_data")

    assert ([path.name for path in found.paths], found.height, found.width) == (["a.png", "b.PNG"], 16, 32)
    assert found.captions() == ("", "a cat")


def test_images_are_read_from_minus_one_to_one(tmp_path: Path) -> None:
    """As the VAE takes them, resized to the size of the case."""
    a_good_one(tmp_path)

    pixels = read_images([tmp_path / "a.png"], height=8, width=24)

    assert tuple(pixels.shape) == (1, 3, 8, 24)
    assert pixels[0, :, 0, 0].tolist() == [1.0, -1.0, -1.0]
