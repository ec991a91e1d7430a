"""The check of outputs: wrong pictures are found, odd objects never raise."""

from __future__ import annotations

import dataclasses
import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pytest_sdbatch.devices.fake import FakeDevice
from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.pipelines.output import check_output

CASE = Case(model="tiny-sd", dtype="fp32", device="cpu", height=8, width=16, steps=4, batch_size=2, batch_count=1)
LATENT = dataclasses.replace(CASE, output_type="latent")
OWN = dataclasses.replace(CASE, model=None, weights="own")


def tensor(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Return a tensor in which no image is constant."""
    return torch.linspace(0, 1, math.prod(shape)).reshape(shape).to(dtype)


def picture(height: int = 8, width: int = 16) -> Image.Image:
    """Return a picture with a gradient."""
    return Image.fromarray((tensor(height, width, 3) * 255).to(torch.uint8).numpy())


GOOD = {
    "tensor": tensor(2, 3, 8, 16),
    "bfloat16": tensor(2, 3, 8, 16, dtype=torch.bfloat16),
    "float16": tensor(2, 3, 8, 16, dtype=torch.float16),
    "channels last tensor": tensor(2, 8, 16, 3),
    "needs grad": tensor(2, 3, 8, 16).requires_grad_(),
    "array": tensor(2, 8, 16, 3).numpy(),
    "bytes": (tensor(2, 8, 16, 3) * 255).to(torch.uint8).numpy(),
    "pictures": [picture(), picture()],
    "list of tensors": [tensor(3, 8, 16), tensor(3, 8, 16)],
    "pipeline output": SimpleNamespace(images=tensor(2, 3, 8, 16), nsfw_content_detected=None),
    "video": SimpleNamespace(frames=tensor(2, 5, 3, 8, 16)),
    "video array": SimpleNamespace(frames=tensor(2, 5, 8, 16, 3).numpy()),
    "video of pictures": SimpleNamespace(frames=[[picture()] * 3, [picture()] * 3]),
    "return_dict=False": (tensor(2, 3, 8, 16), [False, False]),
    "return_dict=False with pictures": ([picture(), picture()], None),
    "fake": FakeDevice().generate(2),
}


@pytest.mark.parametrize("kind", GOOD)
def test_what_pipelines_return_is_checked_and_good(kind: str) -> None:
    """Every kind of output that diffusers gives is understood."""
    verdict = check_output([GOOD[kind], GOOD[kind]], CASE)

    assert (verdict.status, verdict.problem) == ("checked", None)


def spoiled(value: float) -> torch.Tensor:
    """Return a batch whose second image has one such value."""
    images = tensor(2, 3, 8, 16)
    images[1, 0, 0, 0] = value
    return images


BAD = {
    "too few": (tensor(1, 3, 8, 16), "1 images where 2 were asked for"),
    "too many": ([picture()] * 3, "3 images where 2 were asked for"),
    "none": ([], "0 images"),
    "one picture": (picture(), "1 images where 2"),
    "swapped": (tensor(2, 3, 16, 8), "image 1 is 16x8 (height x width), not 8x16"),
    "swapped array": (tensor(2, 16, 8, 3).numpy(), "image 1 is 16x8"),
    "small picture": ([picture(), picture(4, 16)], "image 2 is 4x16"),
    "nan": (spoiled(math.nan), "image 2 holds values that are not finite"),
    "inf": (spoiled(math.inf), "image 2 holds values that are not finite"),
    "nan array": (spoiled(math.nan).numpy().transpose(0, 2, 3, 1), "image 2 holds values"),
    "nan bfloat16": (spoiled(math.nan).bfloat16(), "image 2 holds values"),
    "grey": (torch.full((2, 3, 8, 16), 0.5), "image 1 is constant: every value is 0.5"),
    "one grey": (torch.stack([tensor(3, 8, 16), torch.zeros(3, 8, 16)]), "image 2 is constant: every value is 0"),
    "black picture": ([picture(), Image.new("RGB", (16, 8))], "image 2 is constant"),
    "grey picture": ([picture(), Image.new("L", (16, 8), 7)], "image 2 is constant"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_wrong_output_is_named(kind: str) -> None:
    """The problem says which call, which image and what."""
    output, words = BAD[kind]
    verdict = check_output([GOOD["tensor"], output], CASE)

    assert verdict.status == "checked"
    assert verdict.problem is not None
    assert verdict.problem.startswith("call 2 of 2: ")
    assert words in verdict.problem


VIDEO = dataclasses.replace(CASE, frames=5)
GOOD_VIDEOS = {
    "tensor": tensor(2, 5, 3, 8, 16),
    "channels first": tensor(2, 3, 5, 8, 16),
    "array": tensor(2, 5, 8, 16, 3).numpy(),
    "pictures": [[picture()] * 5, [picture()] * 5],
    "list of arrays": [tensor(5, 8, 16, 3).numpy()] * 2,
    "lists of tensors": [[tensor(3, 8, 16)] * 5] * 2,
    "pipeline output": SimpleNamespace(frames=[[picture()] * 5, [picture()] * 5]),
    "return_dict=False": ([[picture()] * 5, [picture()] * 5],),
}


@pytest.mark.parametrize("kind", GOOD_VIDEOS)
def test_videos_are_checked_and_good(kind: str) -> None:
    """Every way in which diffusers gives videos is understood."""
    verdict = check_output([GOOD_VIDEOS[kind]], VIDEO)

    assert (verdict.status, verdict.problem) == ("checked", None)


BAD_VIDEOS = {
    "too few": (tensor(1, 5, 3, 8, 16), "1 videos where 2 were asked for"),
    "frames of one": ([picture()] * 5, "5 videos where 2 were asked for"),
    "short tensor": (tensor(2, 6, 3, 8, 16), "video 1 has 6 frames, not 5"),
    "short array": (tensor(2, 6, 8, 16, 3).numpy(), "video 1 has 6 frames"),
    "one short list": ([[picture()] * 5, [picture()] * 2], "video 2 has 2 frames"),
    "images": (tensor(2, 3, 8, 16), "video 1 has 1 frames"),
    "swapped": (tensor(2, 5, 3, 16, 8), "video 1 is 16x8"),
    "small frames": ([[picture(4, 4)] * 5] * 2, "video 1 is 4x4"),
    "nan": (tensor(2, 5, 3, 8, 16).index_fill(0, torch.tensor([1]), math.nan), "video 2 holds values"),
    "grey": (torch.full((2, 5, 3, 8, 16), 0.5), "video 1 is constant"),
    "black pictures": ([[picture()] * 5, [Image.new("RGB", (16, 8))] * 5], "video 2 is constant"),
}


@pytest.mark.parametrize("kind", BAD_VIDEOS)
def test_a_wrong_video_is_named(kind: str) -> None:
    """The number of frames is part of what was asked for."""
    output, words = BAD_VIDEOS[kind]
    verdict = check_output([output], VIDEO)

    assert words in str(verdict.problem)


def test_one_video_may_come_without_a_batch() -> None:
    """Some pipelines give the frames of the only video as they are."""
    one = dataclasses.replace(VIDEO, batch_size=1)

    for output in (tensor(5, 3, 8, 16), tensor(5, 8, 16, 3).numpy(), [picture()] * 5, tensor(1, 5, 3, 8, 16)):
        assert check_output([output], one).problem is None
    assert "4 videos" in str(check_output([[picture()] * 4], one).problem)


def test_latents_of_videos_have_no_frames() -> None:
    """A VAE makes several frames of one in time."""
    latent = dataclasses.replace(VIDEO, output_type="latent")

    assert check_output([tensor(2, 16, 2, 1, 2)], latent).problem is None


def test_latents_have_no_size_in_pixels() -> None:
    """Only number and values of latents are looked at."""
    assert check_output([tensor(2, 4, 1, 2)], LATENT).problem is None
    assert check_output([tensor(2, 16, 64)], LATENT).problem is None
    assert check_output([tensor(3, 4, 1, 2)], LATENT).problem is not None
    assert check_output([torch.zeros(2, 4, 1, 2)], LATENT).problem is not None


def test_the_size_of_a_users_own_pipeline_is_its_own() -> None:
    """A test without our model may make any size; number and values still count."""
    assert check_output([tensor(2, 3, 512, 4)], OWN).problem is None
    assert check_output([tensor(1, 3, 8, 16)], OWN).problem is not None


def test_one_image_may_come_without_a_batch() -> None:
    """For batch size 1 a single image is accepted, but no other number of rows is."""
    one = dataclasses.replace(CASE, batch_size=1)

    for output in (tensor(3, 8, 16), tensor(8, 16, 3).numpy(), picture(), tensor(1, 3, 8, 16)):
        assert check_output([output], one).problem is None
    assert check_output([tensor(2, 3, 8, 16)], one).problem is not None
    assert check_output([FakeDevice().generate(2)], one).problem is not None


@pytest.mark.parametrize(
    ("output", "status"),
    [
        (None, "unchecked: nothing was returned"),
        ("text", "unchecked: str"),
        (7, "unchecked: int"),
        ({"images": 2}, "unchecked: dict"),
        (iter(()), "unchecked: tuple_iterator"),
        (["a.png", "b.png"], "unchecked: a batch of str"),
        (torch.empty(2, 3, 8, 16, device="meta"), "unchecked: Tensor raised"),
        (np.array([None, None]), "unchecked: a batch of NoneType"),
    ],
)
def test_what_is_not_known_is_unchecked_and_says_so(output: object, status: str) -> None:
    """Other objects are neither good nor bad."""
    verdict = check_output([output], CASE)

    assert verdict.status.startswith(status)
    assert verdict.problem is None


def test_an_object_that_raises_is_unchecked() -> None:
    """Whatever an attribute of a user's object does, the check ends."""

    class Hostile:
        @property
        def images(self) -> Any:
            raise RuntimeError("not now")

        def __len__(self) -> int:
            raise ValueError

    assert check_output([Hostile()], CASE).status == "unchecked: Hostile raised RuntimeError"


shapes = st.lists(st.integers(0, 4), max_size=5).map(tuple)
leaves = st.one_of(
    st.none(),
    st.integers(),
    st.text(max_size=3),
    shapes.map(np.zeros),
    shapes.map(torch.zeros),
    st.builds(SimpleNamespace, images=st.one_of(st.none(), shapes.map(np.ones))),
)


@given(st.recursive(leaves, lambda inner: st.one_of(st.lists(inner, max_size=3), st.tuples(inner, inner))))
def test_nothing_makes_the_check_raise(output: object) -> None:
    """Any nesting of anything ends in a verdict with a reason, and a zero is never a good picture."""
    verdict = check_output([output], CASE)

    assert verdict.status == "checked" or verdict.status.startswith("unchecked: ")
    assert verdict.problem is not None or verdict.status != "checked"
