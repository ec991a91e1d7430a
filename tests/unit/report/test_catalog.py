"""The table of ``sdbatch models``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from pytest_sdbatch.report.catalog import models_table, variants_table


@dataclass(frozen=True)
class Model:
    """A model as the catalog lists it."""

    name: str
    what: str
    parameters: int | None
    weight_bytes: Mapping[str, int]
    height: int
    width: int


def model(name: str, what: str, parameters: int, side: int) -> Model:
    """Return a model with square images."""
    sizes = {"fp32": 4 * parameters, "fp16": 2 * parameters, "bf16": 2 * parameters}
    return Model(name=name, what=what, parameters=parameters, weight_bytes=sizes, height=side, width=side)


MODELS = (
    model("tiny-sd", "Stable Diffusion in miniature; says nothing about a real model", 90_000, 64),
    model("sd15", "Stable Diffusion 1.5", 1_066_235_307, 512),
)


def test_the_table_of_models() -> None:
    """Sizes are in binary units and follow from the parameters; the description is folded."""
    assert models_table(MODELS, width=80).splitlines() == [
        "name     parameters      fp32  fp16/bf16   native  what",
        "────────────────────────────────────────────────────────────────────────────────",
        "tiny-sd      90.0 k   352 KiB    176 KiB    64x64  Stable Diffusion in",
        "                                                   miniature; says nothing about",
        "                                                   a real model",
        "sd15         1.07 B  3.97 GiB   1.99 GiB  512x512  Stable Diffusion 1.5",
    ]


def test_a_wide_screen_shows_descriptions_on_one_line() -> None:
    """Nothing is folded that fits."""
    assert MODELS[0].what in models_table(MODELS, width=120)


@pytest.mark.parametrize("width", [40, 50, 60, 80, 100, 140])
def test_no_line_is_wider_than_the_screen(width: int) -> None:
    """Narrow screens lose the description first, then fp32."""
    table = models_table(MODELS, width=width)

    assert max(map(len, table.splitlines())) <= max(width, len("tiny-sd      90.0 k  fp16/bf16  512x512"))
    assert "1.99 GiB" in table
    assert "" not in table.splitlines()


def test_a_size_that_is_not_listed_is_a_dash() -> None:
    """A model that has no fp16 form is not a model of 0 bytes."""
    table = models_table([Model("x", "y", 1000, {"fp32": 4000}, 64, 64)], width=100)

    assert table.splitlines()[-1].split() == ["x", "1.00", "k", "3.91", "KiB", "-", "64x64", "y"]


def test_names_cannot_speak_to_the_terminal() -> None:
    """Whatever a catalog entry is called, it is only drawn."""
    table = models_table([Model("a\x1b[31m[b]x[/b]", "\u202e", 10, {}, 64, 64)], width=100)

    assert r"a\x1b[31m[b]x[/b]" in table
    assert "\x1b" not in table
    assert "\u202e" not in table


def test_a_model_whose_size_nobody_knows_shows_dashes() -> None:
    """A project's model is counted when it is loaded, not before."""
    table = models_table([Model("mine", "ours", None, {}, 64, 64)], width=100)

    assert table.splitlines()[-1].split() == ["mine", "-", "-", "-", "64x64", "ours"]


def test_the_table_of_variants() -> None:
    """Names and what they do, folded where the screen is narrow."""
    rows = (model("eager", "the pipeline as it is", 0, 0), model("x" * 10, "changes a pipeline", 0, 0))

    assert variants_table(rows, width=30).splitlines() == [
        "variant     what",
        "─" * 30,
        "eager       the pipeline as it",
        "            is",
        "xxxxxxxxxx  changes a pipeline",
    ]
    assert "what" not in variants_table(rows, width=20)
