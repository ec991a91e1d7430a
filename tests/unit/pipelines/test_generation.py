"""The calls of a case: seeds, prompts and arguments."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_sdbatch.errors import ModelError, OptionError
from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.pipelines.architectures import ARCHITECTURES
from pytest_sdbatch.pipelines.build import build
from pytest_sdbatch.pipelines.generation import (
    DEFAULT_PROMPTS,
    Batch,
    GenerationWorkload,
    pipeline_arguments,
    read_prompts,
)

CASE = Case(model="tiny-sd", dtype="fp32", device="cpu", height=64, width=64, steps=2, batch_size=2, batch_count=2)


def batches(case: Case, *, prompts: tuple[str, ...] = DEFAULT_PROMPTS, seed: int = 0) -> list[Batch]:
    """Return what a user's function is given in one round of *case*."""
    given: list[Batch] = []
    for call in GenerationWorkload(given.append, case, prompts, seed).prepare():
        call()
    return given


class TextPipeline:
    """The signature of a text-to-image pipeline, giving its arguments back."""

    components: dict[str, object] = {}  # noqa: RUF012 - as diffusers has it

    def __call__(self, prompt: list[str], height: int, generator: list[Any]) -> object:
        """Return what it was given."""
        return prompt, height, generator


class UnconditionalPipeline(TextPipeline):
    def __call__(self, batch_size: int = 1, num_inference_steps: int = 50) -> object:  # type: ignore[override]
        """Return what it was given."""
        return batch_size, num_inference_steps


class EmbeddingPipeline(TextPipeline):
    def __call__(self, prompt: list[str], image_embeds: object, hint: object) -> object:
        """Return what it was given."""
        return image_embeds, hint


class AimlessPipeline(TextPipeline):
    def __call__(self, num_inference_steps: int = 50) -> object:  # type: ignore[override]
        """Return what it was given."""
        return num_inference_steps


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 2**31))
def test_an_image_has_the_same_seed_and_prompt_in_every_split(size: int, count: int, seed: int) -> None:
    """Image k has seed + k and prompt k, so splits of one number make the same images."""
    case = replace(CASE, batch_size=size, batch_count=count)
    whole = replace(CASE, batch_size=size * count, batch_count=1)

    split, (together,) = batches(case, seed=seed), batches(whole, seed=seed)

    assert [batch.index for batch in split] == list(range(count))
    assert {batch.size for batch in split} == {size}
    assert sum((batch.seeds for batch in split), ()) == together.seeds == tuple(range(seed, seed + size * count))
    assert [prompt for batch in split for prompt in batch.prompts] == together.prompts
    assert [g.initial_seed() for g in together.generators] == list(together.seeds)


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 2**31))
def test_a_call_that_counts_itself_gets_the_whole_round(size: int, count: int, seed: int) -> None:
    """It is called once, with size and count apart, and the seeds and prompts of the same images."""
    case = replace(CASE, batch_size=size, batch_count=count)
    given: list[Batch] = []
    workload = GenerationWorkload(given.append, case, seed=seed, count_inside=True)

    for call in workload.prepare():
        call()

    (batch,) = given
    assert (batch.index, batch.size, batch.count, workload.calls) == (0, size, count, 1)
    assert batch.seeds == tuple(range(seed, seed + size * count))
    assert len(batch.prompts) == len(batch.generators) == size * count
    assert {other.count for other in batches(case)} == {1}


def test_a_pipeline_counts_no_batches_itself() -> None:
    """Each of its calls makes one batch, whatever is asked for."""
    with pytest.raises(ModelError, match="TextPipeline with count_inside=True") as caught:
        GenerationWorkload(TextPipeline(), CASE, count_inside=True).prepare()

    assert "leave out count_inside" in caught.value.fix


def test_prompts_are_used_in_turn() -> None:
    """A short list of prompts serves any number of images."""
    (batch,) = batches(replace(CASE, batch_size=5, batch_count=1), prompts=("a", "b"))

    assert batch.prompts == ["a", "b", "a", "b", "a"]


def test_the_default_prompts_differ() -> None:
    """A text encoder is not fed one row again and again."""
    assert len(set(DEFAULT_PROMPTS)) == len(DEFAULT_PROMPTS) >= 8


def test_generators_are_made_before_the_clock_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that is timed finds them: making one there would fail here."""
    import torch

    found: list[int] = []
    calls = GenerationWorkload(lambda batch: found.append(len(batch.generators)), CASE).prepare()
    monkeypatch.setattr(torch, "Generator", None)

    for call in calls:
        call()

    assert found == [CASE.batch_size] * CASE.batch_count


def test_each_round_has_fresh_generators() -> None:
    """A generator is used up by a call; a second round of the same workload draws the same noise."""
    import torch

    drawn: list[float] = []
    workload = GenerationWorkload(
        lambda batch: drawn.extend(torch.rand((), generator=g).item() for g in batch.generators), CASE
    )

    for _ in range(2):
        for call in workload.prepare():
            call()

    assert drawn[:4] == drawn[4:]
    assert len(set(drawn)) == 4


def test_splits_make_the_same_images() -> None:
    """A real pipeline makes image k whatever the split, within rounding."""
    import torch

    pipeline = build(ARCHITECTURES["tiny-sd"], device="cpu", dtype="fp32", seed=0)
    made = []
    for size, count in ((1, 4), (4, 1)):
        case = replace(CASE, batch_size=size, batch_count=count)
        made.append(torch.cat([call() for call in GenerationWorkload(pipeline, case).prepare()]))

    assert made[0].shape == (4, 3, 64, 64)
    assert abs(made[0] - made[1]).max() < 1e-4
    assert abs(made[0][0] - made[0][1]).max() > 1e-2  # other seeds are other images


@pytest.mark.parametrize(("output_type", "shape"), [("latent", (2, 4, 8, 8)), ("np", (2, 64, 64, 3))])
def test_the_output_type_of_the_case_is_asked_for(output_type: str, shape: tuple[int, ...]) -> None:
    """What a call returns is the case's choice."""
    pipeline = build(ARCHITECTURES["tiny-sd"], device="cpu", dtype="fp32", seed=0)
    case = replace(CASE, output_type=output_type, batch_count=1)

    (images,) = (call() for call in GenerationWorkload(pipeline, case).prepare())

    assert images.shape == shape  # type: ignore[attr-defined]


def test_guidance_is_given_only_where_the_case_has_one() -> None:
    """Left out, the pipeline's own default holds."""
    (plain, _), (guided, _) = batches(CASE), batches(replace(CASE, guidance=3.5))

    assert "guidance_scale" not in plain.call_arguments()
    assert guided.call_arguments()["guidance_scale"] == 3.5


def test_frames_are_given_only_where_the_case_has_some() -> None:
    """A case of images says nothing of frames."""
    (plain, _), (video, _) = batches(CASE), batches(replace(CASE, frames=5))

    assert "num_frames" not in plain.call_arguments()
    assert video.call_arguments()["num_frames"] == 5


def test_arguments_a_pipeline_does_not_know_are_left_out() -> None:
    """Each pipeline is called by its own signature; one without prompts is told the number of images."""
    (batch, _) = batches(CASE)

    assert set(pipeline_arguments(TextPipeline(), batch)) == {"prompt", "height", "generator"}
    assert pipeline_arguments(UnconditionalPipeline(), batch) == {"batch_size": 2, "num_inference_steps": 2}


def test_a_result_without_images_is_returned_as_it_is() -> None:
    """Pipelines of other kinds can be measured; whether the output is checked is decided elsewhere."""
    (first, _) = GenerationWorkload(UnconditionalPipeline(), CASE).prepare()

    assert first() == (2, 2)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (EmbeddingPipeline(), "needs image_embeds, hint"),
        (AimlessPipeline(), "takes no prompt, no image and no batch_size"),
        ("tiny-sd", "a str cannot be measured"),
        (None, "a NoneType cannot be measured"),
    ],
)
def test_a_target_that_cannot_be_called_is_refused_before_the_clock_starts(target: object, message: str) -> None:
    """The error says what is missing and how a function of one's own is measured."""
    with pytest.raises(ModelError, match=message) as error:
        GenerationWorkload(target, CASE).prepare()

    assert "lambda batch" in error.value.fix


def test_a_users_error_passes_through() -> None:
    """What the measured function raises is not dressed up."""

    def fail(batch: Batch) -> None:
        raise ZeroDivisionError

    (call, _) = GenerationWorkload(fail, CASE).prepare()
    with pytest.raises(ZeroDivisionError):
        call()


def test_a_file_of_prompts_is_read_line_by_line(tmp_path: Path) -> None:
    """Blank lines, a byte order mark and Windows line ends do not become prompts."""
    (path := tmp_path / "p.txt").write_bytes("\ufeffa cat\r\n\r\n  un été  \n".encode())

    assert read_prompts(path) == ("a cat", "un été")


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "No such file"), (b"", "holds no prompt"), (b" \n\n", "holds no prompt"), (b"\xff\xfea", "not UTF-8")],
)
def test_a_file_without_prompts_is_refused(tmp_path: Path, content: bytes | None, message: str) -> None:
    """Missing, empty and unreadable files are told apart."""
    path = tmp_path / "p.txt"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(OptionError) as error:
        read_prompts(path)

    assert message in str(error.value)


class BareNamePipeline(TextPipeline):
    """Uses a name that was never imported, as pipelines of diffusers do with packages that are not installed."""

    missing = "ftfy"

    def __call__(self, prompt: list[str]) -> object:  # type: ignore[override]
        """Fail as Python does."""
        raise NameError(f"name {self.missing!r} is not defined", name=self.missing)


def test_a_package_that_diffusers_uses_without_importing_it_is_named() -> None:
    """Wan's image to video cleans prompts with ftfy, and says only that a name is not defined."""
    (call, _) = GenerationWorkload(BareNamePipeline(), CASE).prepare()

    with pytest.raises(ModelError, match="BareNamePipeline needs the package ftfy") as caught:
        call()

    assert caught.value.fix == "pip install ftfy"


def test_any_other_name_that_is_missing_is_the_pipelines_own_mistake() -> None:
    """It is passed on as it was raised."""
    pipeline = BareNamePipeline()
    pipeline.missing = "no_package"
    (call, _) = GenerationWorkload(pipeline, CASE).prepare()

    with pytest.raises(NameError, match="no_package"):
        call()
