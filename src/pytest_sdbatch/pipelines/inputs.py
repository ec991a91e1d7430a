"""What a pipeline is called with: read off the signature of its own ``__call__``, made before the clock starts."""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pytest_sdbatch.errors import ModelError

if TYPE_CHECKING:
    from pytest_sdbatch.pipelines.generation import Batch

# Names that diffusers has for the number of frames of a video.
FRAME_COUNTS = ("num_frames", "video_length", "frames")
# Arguments that only pipelines of sound have.
SOUND = ("audio_length_in_s", "audio_duration", "audio_duration_s", "num_waveforms_per_prompt")
# Frames of a video to be changed, where nothing says how many: 17 suits every VAE that wants 4k+1 or 8k+1.
FRAMES_OF_A_GIVEN_VIDEO = 17

_PICTURES = ("image", "control_image", "original_image")
_MASKS = ("mask_image", "control_mask")
_VIDEOS = ("video", "control_video")
_COUNTED = frozenset({"prompt", "batch_size", "class_labels", "image", "video"})  # these tell how many to make
# Pipelines that call their image optional and are made for changing one.
_CHANGES_AN_IMAGE = re.compile("Edit|Kontext|Layered|Refiner|Variation|Img2Img|ImageToVideo")
# Pipelines that make every video of a call from one and the same image: they refuse a list.
_ONE_IMAGE_A_CALL = (
    "WanImageToVideoPipeline",
    "SkyReelsV2ImageToVideoPipeline",
    "SkyReelsV2DiffusionForcingImageToVideoPipeline",
    "SanaImageToVideoPipeline",
    "ChronoEditPipeline",
)
# What Batch.call_arguments() gives, one by one, for advice about pipelines that do not take all of it.
_OF_A_BATCH = {
    "prompt": "batch.prompts",
    "height": "batch.case.height",
    "width": "batch.case.width",
    "num_inference_steps": "batch.case.steps",
    "output_type": "batch.case.output_type",
    "generator": "batch.generators",
}
_WHITE, _BLACK = 1.0, 0.0


def pipeline_arguments(pipeline: Any, batch: Batch) -> dict[str, Any]:
    """Return the keyword arguments with which *pipeline* makes *batch*.

    Images, masks and videos that the pipeline wants are noise from the seed of the image they are for, of the
    case's size; each of several ControlNets is given the same. Where a pipeline makes all videos of a call from one
    image, that is of the first seed. What the pipeline has a default for, such as ``strength``, is left at it.

    Raises:
        ModelError: for a pipeline of sound, or one that requires what cannot be made from a case.

    """
    name = type(pipeline).__name__
    accepted = dict(list(inspect.signature(type(pipeline).__call__).parameters.items())[1:])  # the first is self
    if accepted.keys() & set(SOUND):
        raise _refusal(name, (), accepted, why="it makes sound, and sizes and steps of images do not fit it")
    # What is asked for shall run: PixArt and its kin would paint the nearest size they know, and rescale; Flux Kontext
    # would make a megapixel of any size.
    offered = batch.call_arguments() | {"use_resolution_binning": False, "clean_caption": False}
    offered |= {"max_area": batch.case.height * batch.case.width, "_auto_resize": False}
    if batch.case.frames is not None:
        offered |= dict.fromkeys(FRAME_COUNTS, batch.case.frames)
    if "prompt" not in accepted:
        offered["batch_size"] = batch.size
    if "class_labels" in accepted and _is_required(accepted["class_labels"]):
        offered["class_labels"] = _class_labels(pipeline, batch)
    offered |= _given(pipeline, batch, accepted)
    required = [argument for argument, p in accepted.items() if _is_required(p) and argument not in offered]
    if required:
        raise _refusal(name, required, accepted, why=f"its call needs {', '.join(required)}, which no case holds")
    if not offered.keys() & accepted.keys() & _COUNTED:
        raise _refusal(name, (), accepted, why="its call takes no prompt, no image and no batch_size")
    taken = accepted.keys() | (batch.call_arguments() if _passes_on(pipeline, accepted) else {}).keys()
    return {argument: value for argument, value in offered.items() if argument in taken}


def _passes_on(pipeline: Any, accepted: Mapping[str, inspect.Parameter]) -> bool:
    """Return whether *pipeline* is a project's own that takes any keyword: what it does not name it hands to another.

    Without the steps and the size of the case it would measure something else under the case's name.
    """
    takes_any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in accepted.values())
    return takes_any and type(pipeline).__module__.partition(".")[0] != "diffusers"


def make_image(seed: int, *, height: int, width: int, salt: int = 0) -> Any:
    """Return a picture (PIL) of coloured noise, the same for equal arguments; another *salt* (0 to 2) gives another."""
    return _to_picture(_noise(seed, height=height, width=width, salt=salt))


def make_mask(*, height: int, width: int) -> Any:
    """Return a mask (PIL, one band): white, which is to be painted anew, in the middle half of both directions."""
    import torch

    mask = torch.full((height, width, 1), _BLACK)
    mask[height // 4 : height - height // 4, width // 4 : width - width // 4] = _WHITE
    return _to_picture(mask)


def make_video(seed: int, frames: int, *, height: int, width: int, salt: int = 0) -> list[Any]:
    """Return the *frames* of a video (PIL): the picture of :func:`make_image`, moving to the right."""
    noise = _noise(seed, height=height, width=width, salt=salt)
    return [_to_picture(noise.roll(frame, dims=1)) for frame in range(frames)]


def _given(pipeline: Any, batch: Batch, accepted: Mapping[str, inspect.Parameter]) -> dict[str, Any]:
    """Return the images, masks and videos that *pipeline* wants, one per image of the batch."""
    frames = batch.case.frames or FRAMES_OF_A_GIVEN_VIDEO
    enlarged = _enlargement(pipeline)
    size = {"height": batch.case.height // enlarged, "width": batch.case.width // enlarged}
    found: dict[str, Any] = {}
    for argument in _wanted(type(pipeline).__name__, accepted):
        if argument in _MASKS:
            found[argument] = _one_or_all([make_mask(**size) for _ in batch.seeds])
        elif argument in _VIDEOS:
            found[argument] = _one_or_all([make_video(seed, frames, **size) for seed in batch.seeds])
        elif argument == "conditioning_frames":  # one list for the whole batch; sparse ones name the frames they give
            number = 1 if "controlnet_frame_indices" in accepted else frames
            found[argument] = make_video(batch.seeds[0], number, **size)
        else:
            salt = _PICTURES.index(argument)
            seeds = batch.seeds[:1] if any(_is_a(pipeline, name) for name in _ONE_IMAGE_A_CALL) else batch.seeds
            found[argument] = _one_or_all([make_image(seed, **size, salt=salt) for seed in seeds])
    if "image" in found and _is_a(pipeline, "LDMSuperResolutionPipeline"):
        found["image"] = _stacked(found["image"], lowest=-1.0)
    return found | _controls(pipeline, found, accepted)


def _controls(pipeline: Any, found: Mapping[str, Any], accepted: Mapping[str, inspect.Parameter]) -> dict[str, Any]:
    """Return what *found* must hold instead for several ControlNets, and for one that knows several kinds of control.

    Both read a list as one image per control, so a batch of images must be one tensor.
    """
    argument = "control_image" if "control_image" in found else "image"
    controlnet = getattr(pipeline, "controlnet", None)
    if controlnet is None or argument not in found:
        return {}
    nets = getattr(controlnet, "nets", None)
    if nets is not None:
        return {argument: [_stacked(found[argument], lowest=0.0)] * len(nets)}
    # The first kind: each costs the same. Flux's has the switch in every class, SDXL's is a class of its own.
    if "control_mode" in accepted and (
        _is_a(controlnet, "ControlNetUnionModel") or getattr(controlnet, "union", False)
    ):
        return {argument: _stacked(found[argument], lowest=0.0), "control_mode": 0}
    return {}


def _wanted(class_name: str, accepted: Mapping[str, inspect.Parameter]) -> Iterator[str]:
    """Yield the arguments of *accepted* that are pictures and must be given.

    Nearly all of them have the default None, for the sake of embeddings that may stand for them; where the pipeline
    does without (Flux2: text to image, or a change of images), the annotation says None too.
    """
    changes = "mask_image" in accepted or bool(_CHANGES_AN_IMAGE.search(class_name))
    image = "image" in accepted and (changes or not _may_be_none(accepted["image"]))
    for name in (*_PICTURES, *_MASKS, *_VIDEOS, "conditioning_frames"):
        if name not in accepted:
            continue
        if name == "image":
            wanted = image
        elif name == "video":  # an image or a video: the image will do
            wanted = _is_required(accepted[name]) or not (image or _may_be_none(accepted[name]))
        else:
            wanted = name in ("conditioning_frames", "control_video") or not _may_be_none(accepted[name]) or changes
        if wanted:
            yield name


def _one_or_all(made: Sequence[Any]) -> Any:
    """Return the only one bare, which every pipeline takes; some refuse a list of one."""
    return made[0] if len(made) == 1 else list(made)


def _class_labels(pipeline: Any, batch: Batch) -> list[int]:
    """Return a class per image: its seed, modulo the number of classes that the denoiser knows."""
    config = getattr(getattr(pipeline, "transformer", None), "config", None)
    classes = getattr(config, "num_embeds_ada_norm", None) or 1000
    return [seed % int(classes) for seed in batch.seeds]


def _enlargement(pipeline: Any) -> int:
    """Return how many times as high and wide as the image it is given *pipeline* makes its own.

    Such a pipeline takes no height and width, and nothing in its signature says this.
    """
    if _is_a(pipeline, "StableDiffusionLatentUpscalePipeline"):
        return 2
    for name, vae in (("StableDiffusionUpscalePipeline", "vae"), ("LDMSuperResolutionPipeline", "vqvae")):
        if _is_a(pipeline, name):
            return int(2 ** (len(getattr(pipeline, vae).config.block_out_channels) - 1))
    return 1


def _is_a(thing: Any, class_name: str) -> bool:
    return any(base.__name__ == class_name for base in type(thing).__mro__)


def _is_required(parameter: inspect.Parameter) -> bool:
    named = parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    return named and parameter.default is parameter.empty


def _may_be_none(parameter: inspect.Parameter) -> bool:
    """Return whether the annotation of *parameter* admits None."""
    annotation = parameter.annotation
    if isinstance(annotation, str):
        return re.search(r"\b(None|Optional)\b", annotation) is not None
    return types.NoneType in typing.get_args(annotation)


def _noise(seed: int, *, height: int, width: int, salt: int) -> Any:
    import torch

    # Not a high bit for the salt: torch's generator of the CPU looks at the low 32 bits of its seed only.
    generator = torch.Generator("cpu").manual_seed((seed * len(_PICTURES) + salt) % 2**63)
    return torch.rand((height, width, 3), generator=generator)


def _to_picture(pixels: Any) -> Any:
    """Return a PIL image of *pixels*: height x width x bands, from 0 to 1."""
    from diffusers.image_processor import VaeImageProcessor

    return VaeImageProcessor.numpy_to_pil(pixels[None].numpy())[0]


def _stacked(pictures: Any, *, lowest: float) -> Any:
    """Return *pictures* as one tensor from *lowest*, 0 or -1, to 1, for a pipeline that takes no list of them."""
    from diffusers.image_processor import VaeImageProcessor

    return VaeImageProcessor(do_resize=False, do_normalize=lowest < 0).preprocess(pictures)


def _refusal(name: str, missing: Sequence[str], accepted: Mapping[str, inspect.Parameter], *, why: str) -> ModelError:
    """Return the error whose advice is a call that the pipeline takes: not all of them have a prompt and a size."""
    given = [f"{argument}=..." for argument in missing] or ["..."]
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in accepted.values())
    if takes_any or _OF_A_BATCH.keys() <= accepted.keys():
        given.append("**batch.call_arguments()")
    else:
        given += [f"{argument}={value}" for argument, value in _OF_A_BATCH.items() if argument in accepted]
    return ModelError(
        f"{name} cannot be called for a case",
        why=why,
        fix=f"measure a function of your own: sd_benchmark(lambda batch: pipeline({', '.join(given)}))",
    )
