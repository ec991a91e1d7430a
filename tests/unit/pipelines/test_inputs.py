"""What a pipeline is given: read off its signature, made from the seeds of the batch."""

from __future__ import annotations

import inspect
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, Optional

import numpy as np
import pytest

from pytest_sdbatch.errors import ModelError
from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.pipelines.generation import Batch
from pytest_sdbatch.pipelines.inputs import (
    FRAMES_OF_A_GIVEN_VIDEO,
    make_image,
    make_mask,
    make_video,
    pipeline_arguments,
)

CASE = Case(model="m", dtype="fp32", device="cpu", height=16, width=24, steps=2, batch_size=2, batch_count=1)
VIDEO = replace(CASE, frames=5)


def batch_of(case: Case, seed: int = 0) -> Batch:
    """Return the first batch of *case*."""
    seeds = tuple(range(seed, seed + case.batch_size))
    return Batch(index=0, size=case.batch_size, prompts=["p"] * len(seeds), seeds=seeds, case=case)


def given(
    call: Any, case: Case = CASE, *, name: str = "SomePipeline", seed: int = 0, **components: object
) -> dict[str, Any]:
    """Return what a pipeline of that name, ``__call__`` and components is given."""
    return pipeline_arguments(type(name, (), {"__call__": call, **components})(), batch_of(case, seed))


def pixels(picture: Any) -> Any:
    """Return the values of a picture."""
    return np.asarray(picture)


def test_an_image_per_image_of_the_batch_has_the_size_of_the_case() -> None:
    """Image to image, as diffusers writes it: None is the default, and no prompt stands for the image."""

    def call(self: object, prompt: str, image: object = None, strength: float = 0.8) -> None: ...

    arguments = given(call)

    assert set(arguments) == {"prompt", "image"}  # strength stays at the pipeline's own
    assert [picture.size for picture in arguments["image"]] == [(24, 16)] * 2
    assert not np.array_equal(*map(pixels, arguments["image"]))


def test_an_image_follows_the_seed_of_what_it_is_for() -> None:
    """Image k is given the same picture in every split and every round."""

    def call(self: object, prompt: str, image: object = None) -> None: ...

    first, second = given(call)["image"]
    (alone,) = [given(call, replace(CASE, batch_size=1), seed=1)["image"]]

    assert np.array_equal(pixels(second), pixels(alone))
    assert not np.array_equal(pixels(first), pixels(alone))


def test_the_image_of_a_batch_of_one_comes_bare() -> None:
    """Some pipelines refuse a list of one."""

    def call(self: object, prompt: str, image: object = None, video: object = None) -> None: ...

    assert given(call, replace(CASE, batch_size=1))["image"].size == (24, 16)


def test_control_image_and_image_differ() -> None:
    """A pipeline that takes both is not given the same picture twice."""

    def call(self: object, prompt: str, image: object = None, control_image: object = None) -> None: ...

    arguments = given(call)

    assert not np.array_equal(pixels(arguments["image"][0]), pixels(arguments["control_image"][0]))


def test_each_of_several_controlnets_is_given_the_images_of_the_whole_batch() -> None:
    """Their pipelines read a list as one entry per ControlNet: two images for two of them would be one for each."""

    def call(self: object, prompt: str, image: object = None) -> None: ...
    def from_image(self: object, prompt: str, image: object = None, control_image: object = None) -> None: ...

    three = replace(CASE, batch_size=3)
    several = SimpleNamespace(nets=[object(), object()])

    assert [tuple(images.shape) for images in given(call, three, controlnet=several)["image"]] == [(3, 3, 16, 24)] * 2
    arguments = given(from_image, three, controlnet=several)
    assert [len(images) for images in arguments["control_image"]] == [3, 3]
    assert [picture.size for picture in arguments["image"]] == [(24, 16)] * 3


def test_a_controlnet_of_several_kinds_is_told_which() -> None:
    """SDXL's has a class of its own, Flux's a switch; without a kind both fail in the middle of a call."""

    def call(self: object, prompt: str, control_image: object = None, control_mode: object = None) -> None: ...

    for controlnet in (type("ControlNetUnionModel", (), {})(), SimpleNamespace(union=True)):
        arguments = given(call, controlnet=controlnet)
        assert arguments["control_mode"] == 0
        assert tuple(arguments["control_image"].shape) == (2, 3, 16, 24)
    assert set(given(call, controlnet=SimpleNamespace(union=False))) == {"prompt", "control_image"}


def test_where_one_image_makes_all_videos_it_is_that_of_the_first_seed() -> None:
    """Wan's image to video refuses a list of images, whatever the number of prompts."""

    def call(self: object, image: object, prompt: str, num_frames: int = 81) -> None: ...

    image = given(call, VIDEO, name="WanImageToVideoPipeline", seed=7)["image"]

    assert image.tobytes() == make_image(7, height=16, width=24).tobytes()


def test_a_size_is_kept_where_the_pipeline_would_choose_another() -> None:
    """Flux Kontext makes a megapixel of any height and width unless its largest area is given."""

    def call(
        self: object, image: str | None = None, prompt: str = "", max_area: int = 1024**2, _auto_resize: bool = True
    ) -> None: ...

    arguments = given(call, name="FluxKontextPipeline")

    assert (arguments["max_area"], arguments["_auto_resize"]) == (16 * 24, False)


def test_a_mask_has_both_colours_in_one_band() -> None:
    """White is painted anew, black is kept."""
    mask = make_mask(height=16, width=24)

    assert (mask.mode, mask.size) == ("L", (24, 16))
    assert sorted(np.unique(pixels(mask))) == [0, 255]
    assert pixels(mask)[8, 12] == 255
    assert pixels(mask)[0, 0] == 0


@pytest.mark.parametrize("annotation", [Optional[str], str | None, "PIL.Image.Image | None", "Optional[str]"])  # noqa: UP045
def test_an_image_that_may_be_none_is_left_out(annotation: object) -> None:
    """Pipelines that make images of text or of an image say so in the annotation, and text is what a case has."""

    def call(self: object, prompt: str, image: object = None) -> None: ...

    call.__annotations__["image"] = annotation

    assert set(given(call)) == {"prompt"}
    assert set(given(call, name="SomeEditPipeline")) == {"prompt", "image"}


def test_an_optional_image_beside_a_mask_is_given() -> None:
    """A mask makes no sense without what it masks."""

    def call(self: object, prompt: str, image: str | None = None, mask_image: str | None = None) -> None: ...

    assert set(given(call)) == {"prompt", "image", "mask_image"}


@pytest.mark.parametrize("name", ["num_frames", "video_length", "frames"])
def test_frames_are_given_under_the_name_the_pipeline_has(name: str) -> None:
    """There are three words for it; a case of images gives none."""

    def call(self: object, prompt: str, num_frames: int = 16) -> None: ...

    own = [p.replace(name=name) if p.name == "num_frames" else p for p in inspect.signature(call).parameters.values()]
    call.__signature__ = inspect.Signature(own)  # type: ignore[attr-defined]

    assert given(call, VIDEO)[name] == 5
    assert set(given(call)) == {"prompt"}


def test_a_video_to_be_changed_has_the_frames_of_the_case() -> None:
    """One list of frames per video, each another picture."""

    def call(self: object, prompt: str, video: object = None) -> None: ...

    first, second = given(call, VIDEO)["video"]

    assert [len(first), len(second)] == [5, 5]
    assert len({frame.tobytes() for frame in first + second}) == 10
    assert len(given(call, replace(CASE, batch_size=1))["video"]) == FRAMES_OF_A_GIVEN_VIDEO


def test_an_image_will_do_where_a_video_may_be_given() -> None:
    """Such pipelines take one of them, not both."""

    def call(self: object, prompt: str, image: object = None, video: object = None) -> None: ...

    assert set(given(call, VIDEO)) == {"prompt", "image"}


def test_a_pipeline_of_ones_own_that_hands_keywords_on_is_given_the_whole_case() -> None:
    """It names a prompt and passes the rest to another pipeline: steps and size must reach that one."""

    def call(self: object, prompt: str, **kwargs: object) -> None: ...

    arguments = given(call)

    assert arguments["num_inference_steps"] == CASE.steps
    assert (arguments["height"], arguments["width"]) == (CASE.height, CASE.width)
    assert "use_resolution_binning" not in arguments  # a word of diffusers, which its own code may not know


def test_a_pipeline_of_diffusers_is_given_what_it_names() -> None:
    """Some of diffusers take any keyword for the sake of old names, and ignore or refuse what they do not know."""

    def call(self: object, prompt: str, **kwargs: object) -> None: ...

    assert set(given(call, __module__="diffusers.pipelines.some")) == {"prompt"}


def test_pipelines_without_prompts_are_told_the_number() -> None:
    """Unconditional ones by batch_size, those of images by the images, those of classes by a class each."""

    def unconditional(self: object, batch_size: int = 1) -> None: ...
    def variation(self: object, image: object) -> None: ...
    def classes(self: object, class_labels: list[int]) -> None: ...

    assert given(unconditional) == {"batch_size": 2}
    assert len(given(variation)["image"]) == 2
    assert given(classes, seed=999) == {"class_labels": [999, 0]}


def test_a_class_picked_by_itself_stays_so() -> None:
    """Where class labels have a default the pipeline draws its own."""

    def call(self: object, batch_size: int = 1, class_labels: object = None) -> None: ...

    assert given(call) == {"batch_size": 2}


def test_what_cannot_be_made_is_named_with_the_way_to_give_it() -> None:
    """The function to write stands in the error, with the argument that it must give."""

    def call(
        self: object,
        prompt: str,
        image: object,
        image_embeds: object,
        hint: object,
        height: int = 512,
        width: int = 512,
        num_inference_steps: int = 100,
        generator: object = None,
        output_type: str = "pil",
    ) -> None: ...

    with pytest.raises(ModelError) as caught:
        given(call, name="KandinskyPipeline")

    assert "KandinskyPipeline" in caught.value.what
    assert "image_embeds, hint" in caught.value.why
    assert "lambda batch: pipeline(image_embeds=..., hint=..., **batch.call_arguments())" in caught.value.fix


def test_the_advice_names_no_argument_that_the_pipeline_does_not_take() -> None:
    """Decoders have no prompt, others no size: a call with all that a batch holds would be a TypeError."""

    def call(self: object, image_embeds: object, num_inference_steps: int = 100, generator: object = None) -> None: ...

    with pytest.raises(ModelError) as caught:
        given(call, name="KandinskyV22Pipeline")

    def wrapped(self: object, **kwargs: object) -> None: ...

    with pytest.raises(ModelError) as hidden:
        given(wrapped)

    assert hidden.value.fix.endswith("pipeline(..., **batch.call_arguments()))")
    assert caught.value.fix.endswith(
        "pipeline(image_embeds=..., num_inference_steps=batch.case.steps, generator=batch.generators))"
    )


@pytest.mark.parametrize("name", ["audio_length_in_s", "audio_duration", "num_waveforms_per_prompt"])
def test_a_pipeline_of_sound_is_refused(name: str) -> None:
    """It has a prompt and would run, but what it makes is no image."""

    def call(self: object, prompt: str, sound: int = 1) -> None: ...

    parameters = inspect.signature(call).parameters.values()
    own = [p.replace(name=name) if p.name == "sound" else p for p in parameters]
    call.__signature__ = inspect.Signature(own)  # type: ignore[attr-defined]

    with pytest.raises(ModelError, match="makes sound"):
        given(call)


def test_a_picture_is_the_same_for_the_same_seed_and_salt_only() -> None:
    """Noise, but the same noise on every machine and in every process."""
    size = {"height": 8, "width": 8}

    assert make_image(3, **size).tobytes() == make_image(3, **size).tobytes()
    assert len({make_image(seed, **size, salt=salt).tobytes() for seed in (3, 4) for salt in (0, 1)}) == 4
    assert make_video(3, 2, **size)[0].tobytes() == make_image(3, **size).tobytes()
