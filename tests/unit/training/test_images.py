"""A folder of images: refused whole, with the file that is wrong, before anything is measured."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from pytest_sdbatch.errors import OptionError
from pytest_sdbatch.training.images import look_at, read_image, read_images


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


def unknown_range(folder: Path) -> None:
    """Write an image whose pixels are fractions, from 0 to 1 or to 255."""
    a_good_one(folder)
    Image.new("F", (32, 16), 0.5).save(folder / "b.tif")


def nothing(folder: Path) -> None:
    """Write a file that is no image."""
    (folder / "notes.txt").write_text("x")


@pytest.mark.parametrize(
    ("fill", "said"),
    [
        (nothing, "holds no image"),
        (cut, r"b\.jpg cannot be read"),
        (unknown_range, r"b\.tif cannot be read.*the range of its 32-bit pixels"),
        (no_image, r"b\.png cannot be read"),
        (mixed, r"several sizes: a\.png is 32x16, b\.png 32x32"),
    ],
)
def test_a_folder_that_is_wrong_is_refused(fill: Callable[[Path], None], said: str, tmp_path: Path) -> None:
    """The message names the option and the file."""
    fill(tmp_path)

    with pytest.raises(OptionError) as caught:
        look_at(tmp_path, spelled="sd_train_data")
    assert re.search(f"sd_train_data: .*{said}", str(caught.value), re.DOTALL)


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


def test_folders_within_are_looked_into_and_leftovers_are_not(tmp_path: Path) -> None:
    """Each place once, links to folders too; what a Mac or an editor leaves behind is no image."""
    for name in ("cats", ".ipynb_checkpoints", "__MACOSX"):
        (tmp_path / "data" / name).mkdir(parents=True)
        picture(tmp_path / "data" / name / "a.png")
    (tmp_path / "data" / "cats" / "._a.png").write_bytes(b"no image")
    (tmp_path / "elsewhere").mkdir()
    picture(tmp_path / "elsewhere" / "b.png")
    (tmp_path / "data" / "dogs").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data" / "cats" / "round").symlink_to(tmp_path / "data")

    found = look_at(tmp_path / "data", spelled="sd_train_data")

    assert [path.relative_to(tmp_path / "data").as_posix() for path in found.paths] == ["cats/a.png", "dogs/b.png"]
    assert found.name == "data"


def test_a_photo_is_read_upright(tmp_path: Path) -> None:
    """A camera that was turned says so in the file; its size is that of the upright image."""
    image = Image.new("RGB", (32, 16), (255, 0, 0))
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "a.jpg", exif=exif)
    picture(tmp_path / "b.png", size=(16, 32))

    found = look_at(tmp_path, spelled="sd_train_data")

    assert (found.width, found.height) == (16, 32)
    assert read_image(tmp_path / "a.jpg", spelled="sd_train_data").size == (16, 32)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_of_grey_keep_their_shades(suffix: str, tmp_path: Path) -> None:
    """Cut off at 255 nearly all of them would be white."""
    Image.frombytes("I;16", (2, 1), (65535).to_bytes(2, "little") + (32896).to_bytes(2, "little")).save(
        tmp_path / f"a.{suffix}"
    )

    assert read_image(tmp_path / f"a.{suffix}", spelled="sd_train_data").tobytes() == bytes([255] * 3 + [128] * 3)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK"])
def test_every_kind_of_image_is_read_in_colour(mode: str, tmp_path: Path) -> None:
    """Without a warning: grey, palettes with transparency, alpha, and inks; of an animation the first picture."""
    suffix = "tif" if mode == "CMYK" else "png"
    images = [Image.new("RGB", (8, 8), shade).convert(mode) for shade in ((255, 255, 255), (0, 0, 0))]
    transparency = {"transparency": b"\x00" * 9} if mode == "P" else {}
    images[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=images[1:], **transparency)

    found = read_image(tmp_path / f"a.{suffix}", spelled="sd_train_data")

    assert (found.mode, found.getpixel((0, 0))) == ("RGB", (255, 255, 255))


def test_a_photo_of_a_hundred_megapixels_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow warns of it; twice as many it takes for an attack, which is told with the file."""
    picture(tmp_path / "a.png", size=(16, 16))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 200)
    assert look_at(tmp_path, spelled="sd_train_data").width == 16

    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(OptionError, match=r"a\.png cannot be read"):
        look_at(tmp_path, spelled="sd_train_data")
