"""A pipeline's folder, judged by its JSON alone: what it is, and why it must not be loaded."""

from __future__ import annotations

import importlib.util
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_sdbatch.errors import ModelError
from pytest_sdbatch.grid.plan import ModelFacts
from pytest_sdbatch.pipelines.inputs import FRAME_COUNTS, FRAMES_OF_A_GIVEN_VIDEO, SOUND
from pytest_sdbatch.pipelines.safetensors_header import read_header
from pytest_sdbatch.pipelines.signatures import call_defaults

INDEX = "model_index.json"
_WEIGHT_STEMS = ("diffusion_pytorch_model", "model")
_PICKLES = (".bin", ".ckpt", ".pt", ".pth", ".pkl")
_CONFIGS = ("config.json", "tokenizer_config.json", "preprocessor_config.json", "processor_config.json")
_DEFAULT_SAMPLE = 128  # diffusers' own for transformers whose configuration has no sample_size (Flux)
_USUAL_STEPS = 20
_WITHOUT_WEIGHTS = re.compile("(Scheduler|Tokenizer|Processor|FeatureExtractor)(Fast|Pil)?$")
_VAES = ("vae", "vqvae", "movq", "vqgan")
# UNets that pad odd sizes on their way up by themselves; their pipelines ask for 8 whatever the VAE.
_PADDING_UNETS = ("UNet2DConditionModel", "UNet3DConditionModel", "UNetMotionModel")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One component that the index names."""

    name: str
    library: str
    class_name: str

    @property
    def may_hold_weights(self) -> bool:
        """Whether the class is a network as far as its name tells."""
        return _WITHOUT_WEIGHTS.search(self.class_name) is None


def read_index(folder: Path, *, source: str) -> tuple[Part, ...]:
    """Return the components that ``model_index.json`` of *folder* names.

    Raises:
        ModelError: for a folder without one, a damaged one, or one that asks for code from outside the libraries.

    """
    if not (folder / INDEX).is_file():
        raise ModelError(
            f"model {source!r} is no diffusers pipeline",
            why=f"there is no {INDEX} in it, but {_listed(folder)}",
            fix="save one there: pipeline.save_pretrained(FOLDER)",
        )
    index = read_json(folder / INDEX, source=source)
    class_name = index.get("_class_name")
    if isinstance(class_name, list):
        raise _remote_code(source, f"{INDEX} names the class {class_name}, which is code of its own")
    if not isinstance(class_name, str):
        raise _damaged(source, INDEX, "it names no _class_name")
    parts = []
    for name, value in index.items():
        if name.startswith("_") or not isinstance(value, list) or value[:1] == [None]:
            continue
        if len(value) != 2 or not all(isinstance(word, str) for word in value):
            continue  # an argument of the constructor that is a list, not a component
        parts.append(Part(name=name, library=value[0], class_name=value[1]))
    known = {"diffusers", "transformers", *_pipeline_modules()}
    for part in parts:
        if part.library not in known:
            raise _remote_code(source, f"its {part.name} comes from {part.library!r}")
        if Path(part.name).name != part.name:
            raise _damaged(source, INDEX, f"{part.name!r} is no name of a component")
    return tuple(parts)


def check_code(folder: Path, parts: Iterable[Part], *, source: str) -> None:
    """Refuse configurations that name code to be run with the model.

    Raises:
        ModelError: for a Python file that diffusers would import, or an ``auto_map``.

    """
    for part in parts:
        if (folder / part.name / f"{part.library}.py").exists():
            raise _remote_code(source, f"{part.name}/{part.library}.py would be imported")
        for file in _CONFIGS:
            path = folder / part.name / file
            if path.is_file() and "auto_map" in read_json(path, source=source):
                raise _remote_code(source, f"{part.name}/{file} holds an auto_map")


def check_weights(folder: Path, parts: Iterable[Part], *, source: str) -> int:
    """Return the number of parameters, read from the headers of the weights.

    Raises:
        ModelError: for a component that is missing, has no weights, or has them as pickles only.

    """
    parameters = 0
    for part in parts:
        home = folder / part.name
        if not home.is_dir():
            raise ModelError(
                f"model {source!r} lacks its {part.name}",
                why=f"{INDEX} names it, and there is no such folder",
                fix="save or download the whole pipeline again",
            )
        if not any(home.iterdir()):  # an empty tokenizer is loaded, and fails in the first call
            raise ModelError(
                f"model {source!r} lacks its {part.name}",
                why="its folder is empty",
                fix="save or download the whole pipeline again",
            )
        if part.may_hold_weights:
            files = _weight_files(home, part, source=source)
            parameters += sum(tensor.parameters for file in files for tensor in read_header(file))
    return parameters


def facts(folder: Path, parts: Iterable[Part], *, source: str, parameters: int | None) -> ModelFacts:
    """Return what the grid needs, from the configurations of denoiser and VAE and from the pipeline's own defaults.

    Raises:
        ModelError: for a pipeline without a ``unet`` or ``transformer``, whose sizes cannot be told, and one of sound.

    """
    names = {part.name: part for part in parts}
    call = call_defaults(str(read_json(folder / INDEX, source=source).get("_class_name")))
    denoiser = names.get("unet") or names.get("transformer")
    if denoiser is None or not call.keys().isdisjoint(SOUND):
        raise ModelError(
            f"model {source!r}: its image size cannot be told",
            why="it has neither a unet nor a transformer" if denoiser is None else "it makes sound",
            fix="load it in a test of your own and measure a function: sd_benchmark(lambda batch: ...)",
        )
    config = read_json(folder / denoiser.name / "config.json", source=source)
    vae = next((name for name in _VAES if name in names), None)
    vae_config = read_json(folder / vae / "config.json", source=source) if vae else {}
    scale = _vae_scale(vae_config) if vae else 1
    try:
        frames = _frames(call, config)
        height, width = _native_size(call, config, scale, video=frames is not None)
        factor = _factor(denoiser, config, scale)
        frames_factor = 1 if frames is None else _frames_factor(vae_config, frames)
    except (TypeError, ValueError, IndexError) as error:
        raise _damaged(source, f"{denoiser.name}/config.json", str(error)) from None
    return ModelFacts(
        name=source,
        weights="trained",
        height=height,
        width=width,
        steps=_USUAL_STEPS,
        factor=factor,
        parameters=parameters,
        frames=frames,
        frames_factor=frames_factor,
    )


def read_json(path: Path, *, source: str) -> Mapping[str, Any]:
    """Return the object in *path*.

    Raises:
        ModelError: for a file that is missing, cannot be read or is no JSON object.

    """
    name = f"{path.parent.name}/{path.name}" if path.name != INDEX else INDEX
    if path.exists() and not path.is_file():  # a named pipe would be waited for
        raise _damaged(source, name, "it is no regular file")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise _damaged(source, name, error.strerror or type(error).__name__) from None
    except (ValueError, RecursionError) as error:
        raise _damaged(source, name, f"it is no JSON: {error}") from None
    if not isinstance(value, dict):
        raise _damaged(source, name, "it holds no JSON object")
    return value


def _weight_files(home: Path, part: Part, *, source: str) -> tuple[Path, ...]:
    for stem in _WEIGHT_STEMS:
        if (whole := home / f"{stem}.safetensors").is_file():
            return (whole,)
        if (index := home / f"{stem}.safetensors.index.json").is_file():
            shards = read_json(index, source=source).get("weight_map")
            if not isinstance(shards, dict) or not shards:
                raise _damaged(source, f"{part.name}/{index.name}", "it holds no weight_map")
            return tuple(home / Path(str(shard)).name for shard in sorted(set(shards.values())))
    files = sorted(path.name for path in home.iterdir() if path.is_file())
    pickles = [name for name in files if name.endswith(_PICKLES)]
    variants = [name for name in files if name.endswith(".safetensors")]
    if variants:
        word = variants[0].removesuffix(".safetensors").rpartition(".")[2]
        reason, change = f"{part.name} has its weights as {variants[0]} only", f"variant={word!r}"
    elif pickles:
        reason = f"{part.name} has its weights as a pickle only ({pickles[0]}), which runs code when it is read"
        change = ""  # diffusers takes pickles where nothing else is there
    else:
        raise ModelError(
            f"model {source!r} has no weights for its {part.name}",
            why=f"in that folder is {_listed(home)}",
            fix="save or download the whole pipeline again",
        )
    arguments = ", ".join(filter(None, (repr(source), change)))
    call = f"DiffusionPipeline.from_pretrained({arguments}).save_pretrained({source + '-safe'!r})"
    raise ModelError(
        f"model {source!r} cannot be loaded",
        why=reason,
        fix=f'if you trust it, convert it once: python -c "from diffusers import DiffusionPipeline; {call}"',
    )


def _native_size(call: Mapping[str, object], config: Mapping[str, Any], scale: int, *, video: bool) -> tuple[int, int]:
    """Return height and width: the denoiser's sample size, or what the pipeline makes when it is told nothing.

    Of a video the latter comes first: a sample size says little where the sides differ.
    """
    own = (call.get("height"), call.get("width"))
    sample = config.get("sample_size") or (config.get("sample_height"), config.get("sample_width"))
    told = [side for side in own if isinstance(side, int)]
    if len(told) == 2 and (video or sample == (None, None)):
        return told[0], told[1]
    height, width = (int(side or _DEFAULT_SAMPLE) * scale for side in _pair(sample))
    return height, width


def _frames(call: Mapping[str, object], config: Mapping[str, Any]) -> int | None:
    """Return the frames of a video as the pipeline makes it by itself; None for a pipeline of images."""
    name = next((name for name in FRAME_COUNTS if name in call), None)
    if name is None:
        return FRAMES_OF_A_GIVEN_VIDEO if "video" in call else None
    return int(str(call[name] or config.get("num_frames") or config.get("sample_frames") or FRAMES_OF_A_GIVEN_VIDEO))


def _frames_factor(config: Mapping[str, Any], frames: int) -> int:
    """Return the number of which frames must be 1 more than a multiple: how many the VAE makes of one in time."""
    factor = int(config.get("scale_factor_temporal") or config.get("temporal_compression_ratio") or 1)
    return factor if (frames - 1) % factor == 0 else 1  # some VAEs of that kind have no first frame of its own


def _factor(denoiser: Part, config: Mapping[str, Any], scale: int) -> int:
    """Return what height and width must be multiples of."""
    if denoiser.name == "transformer":
        # Flux packs 2 x 2 latents with patch_size 1; the others say their patch.
        return scale * max(2, int(_pair(config.get("patch_size") or 1)[-1]))
    if denoiser.class_name in _PADDING_UNETS:
        return math.lcm(8, scale)
    return int(scale * 2 ** (len(config.get("block_out_channels") or ()) or 1) // 2)


def _vae_scale(config: Mapping[str, Any]) -> int:
    channels = config.get("block_out_channels")
    return int(2 ** (len(channels) - 1)) if isinstance(channels, list) and channels else 8


def _pair(value: Any) -> tuple[Any, Any]:
    return (value[-2], value[-1]) if isinstance(value, (list, tuple)) else (value, value)


def _pipeline_modules() -> set[str]:
    """Return the modules of ``diffusers.pipelines``, which an index may name, without importing diffusers."""
    spec = importlib.util.find_spec("diffusers")
    roots = list(spec.submodule_search_locations or ()) if spec else []
    return {
        entry.stem if entry.is_file() else entry.name
        for root in roots
        for entry in (Path(root) / "pipelines").iterdir()
        if not entry.name.startswith("_")
    }


def _listed(folder: Path) -> str:
    names = sorted(path.name for path in folder.iterdir())
    shown = ", ".join(names[:5])
    return (shown + (f" and {len(names) - 5} more" if len(names) > 5 else "")) or "nothing"


def _remote_code(source: str, why: str) -> ModelError:
    return ModelError(
        f"model {source!r} asks for code of its own",
        why=why,
        fix="load it in a test of your own, where you decide what runs: sd_benchmark(lambda batch: ...)",
    )


def _damaged(source: str, file: str, why: str) -> ModelError:
    return ModelError(f"model {source!r}: cannot use {file}", why=why, fix="save or download the pipeline again")
