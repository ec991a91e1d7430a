"""The id of a case: what people, files and comparisons name it by."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pytest_sdbatch.grid.case import Case, case_of_id, escape_name
from pytest_sdbatch.grid.training import OPTIMIZERS, Training

SAFE = re.compile(r"[A-Za-z0-9._@/+~%-]*")
PLAIN = Case(
    model="sd15", dtype="fp32", device="cpu", height=64, width=64, steps=4, batch_size=4, batch_count=8
)  # fmt: skip

# Names that look like parts of an id, and names that look like each other once something is added or taken away.
NASTY = (
    "", "a/b", "../x", "tiny", "tiny-sd", "tiny-random", "tiny-sd-own", "sd15", "sd15-random", "sd15-random-random",
    "sd15-trained", "sd15-own", "own", "-own", "random", "fp32-64x64-s4", "sd15-fp32-64x64-s4", "sd15-fp32-64x64-s4-g7",
    "m-b1x1", "%2D", "sd15%2Drandom", "x[1]", "x\n", "x\x1b[31m", "<b>", "caf\u00e9", "cafe\u0301", "\ud800", "a b",
)  # fmt: skip
FRAGMENTS = (
    "sd15",
    "tiny",
    "random",
    "trained",
    "own",
    "fp32",
    "bf16",
    "64x64",
    "f1",
    "s4",
    "g7",
    "w1",
    "olatent",
    "b1x1",
    "lora16",
    "full-a2",
)
MODELS = st.sampled_from(NASTY) | st.lists(st.sampled_from(FRAGMENTS), max_size=6).map("-".join) | st.text(max_size=8)
VARIANTS = (
    st.sampled_from(["eager", "compile", "channels-last+vae-slicing", "model-offload"])
    | st.lists(st.sampled_from([*FRAGMENTS, "g1e-05", "o"]), min_size=1, max_size=4).map("-".join)
    | st.text(min_size=1, max_size=6)
)
FEW = st.integers(1, 2)
TRAINING = st.builds(
    Training,
    optimizer=st.sampled_from(OPTIMIZERS),
    checkpointing=st.booleans(),
    cache=st.booleans(),
    accumulation=FEW,
    processes=FEW,
).flatmap(
    lambda how: st.sampled_from(
        [how, replace(how, rank=4), replace(how, method="full", rank=None), replace(how, method="step", rank=None)]
    )
)
CASES = (
    st.builds(
        Case,
        model=MODELS,
        weights=st.sampled_from(["random", "trained", "own"]),
        weights_seed=st.integers(0, 2),
        dtype=st.sampled_from(["fp32", "fp16", "bf16"]),
        device=st.just("cpu"),
        variant=VARIANTS,
        height=st.sampled_from([64, 128]),
        width=st.sampled_from([64, 128]),
        frames=st.none() | st.integers(1, 2),
        steps=st.sampled_from([4, 20]),
        guidance=st.none() | st.sampled_from([0.0, -0.0, 7.0, 7.5, 1e-05, 1e16, 1e22]) | st.floats(0, 100),
        output_type=st.sampled_from(["pt", "latent", "np", "pil"]),
        batch_size=FEW,
        batch_count=FEW,
    )
    | st.builds(
        Case,
        model=st.none(),
        weights=st.just("own"),
        dtype=st.just("fp32"),
        device=st.just("cpu"),
        variant=VARIANTS,
        height=st.just(64),
        width=st.just(64),
        steps=st.just(4),
        batch_size=FEW,
        batch_count=FEW,
    )
    | st.builds(
        Case,
        model=MODELS,
        weights=st.sampled_from(["random", "trained"]),
        weights_seed=st.integers(0, 2),
        dtype=st.just("fp32"),
        device=st.just("cpu"),
        height=st.just(64),
        width=st.just(64),
        steps=st.just(1),
        batch_size=FEW,
        batch_count=FEW,
        training=TRAINING,
    )
)


def collisions(cases: list[Case]) -> list[tuple[Case, Case]]:
    """Return the pairs whose ids are equal although they are not, or the other way round."""
    return [(a, b) for a in cases for b in cases if (a == b) is not (a.id == b.id)]


@settings(max_examples=300)
@given(CASES, CASES)
@example(replace(PLAIN, guidance=0.0), replace(PLAIN, guidance=-0.0))
@example(replace(PLAIN, guidance=7.0), replace(PLAIN, guidance=7))
def test_ids_are_equal_exactly_where_cases_are(one: Case, other: Case) -> None:
    """Records are found by id: two cases under one id would be compared, one case under two would be lost."""
    assert not collisions([one, other])


@settings(max_examples=200)
@given(st.data())
def test_cases_that_differ_in_model_and_variant_only_have_different_ids(data: st.DataObject) -> None:
    """These are the parts whose text is the user's; all else being equal makes a collision likely if there is one."""
    draw = st.tuples(MODELS | st.none(), st.sampled_from(["random", "trained", "own"]), VARIANTS)
    parts = data.draw(st.lists(draw, min_size=2, max_size=8))
    guidance, seed = data.draw(st.sampled_from([(None, 0), (7.0, 0), (1e-05, 1), (None, 1)]))

    assert not collisions(
        [
            replace(
                PLAIN,
                model=model,
                weights="own" if model is None else weights,
                variant=variant,
                guidance=guidance,
                weights_seed=seed,
            )
            for model, weights, variant in parts
        ]
    )


def test_names_that_imitate_each_other_stay_apart() -> None:
    """Every pair of names known to be nasty, under every kind of weights, has ids of its own."""
    cases = [
        replace(PLAIN, model=model, weights=weights) for model in NASTY for weights in ("random", "trained", "own")
    ]
    cases.append(replace(PLAIN, model=None, weights="own"))

    assert not collisions(cases)


def test_a_variant_that_imitates_a_later_part_stays_apart() -> None:
    """A project may add variants of any name, also ``g7`` and ``olatent``."""
    cases = [
        PLAIN,
        replace(PLAIN, guidance=7.0),
        replace(PLAIN, variant="g7"),
        replace(PLAIN, output_type="latent"),
        replace(PLAIN, variant="olatent"),
        replace(PLAIN, weights_seed=1),
        replace(PLAIN, variant="w1"),
        replace(PLAIN, variant="compile", guidance=1e-05),
        replace(PLAIN, variant="compile-g1e-05"),
        replace(PLAIN, model="sd15-random-fp32-64x64-s4", weights="trained"),
        replace(PLAIN, variant="fp32-64x64-s4"),
    ]

    assert not collisions(cases)


@given(CASES)
def test_an_id_holds_only_characters_that_nothing_trips_over(case: Case) -> None:
    """Shells, tables, HTML, terminals and pytest's own brackets see letters, digits and a few harmless signs."""
    assert SAFE.fullmatch(case.id.replace(":", ""))  # between a variant and its value


@given(st.text(), st.text())
def test_escaping_keeps_names_apart(one: str, other: str) -> None:
    """Names that differ before escaping differ after it."""
    assert (one == other) is (escape_name(one) == escape_name(other))


@given(st.text())
def test_escaping_leaves_only_safe_characters(name: str) -> None:
    """Whatever a name holds, the result is plain ASCII."""
    assert SAFE.fullmatch(escape_name(name))


@pytest.mark.parametrize("name", ["sd15", "org/name@main", "./folder", "~/models/x_1.safetensors", "a+b"])
def test_usual_names_are_shown_as_they_are_written(name: str) -> None:
    """Catalog names, hub ids with a revision and paths need no escape."""
    assert escape_name(name) == name


@pytest.mark.parametrize(
    ("name", "escaped"), [("x[1]", "x%5B1%5D"), ("a b", "a%20b"), ("\u00e9", "%C3%A9"), ("100%", "100%25")]
)
def test_an_escape_is_the_percent_form_of_the_utf8_bytes(name: str, escaped: str) -> None:
    """It is the form that addresses use, so that it can be read back."""
    assert escape_name(name) == escaped


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "sd15-random-fp32-64x64-s4-b4x8"),
        ({"model": "tiny-sd"}, "tiny-sd-fp32-64x64-s4-b4x8"),
        ({"model": "org/sd@main", "weights": "trained"}, "org/sd@main-fp32-64x64-s4-b4x8"),
        ({"model": "app", "weights": "own"}, "app-own-fp32-64x64-s4-b4x8"),
        ({"model": None, "weights": "own"}, "fp32-64x64-s4-b4x8"),
        ({"height": 512, "width": 768, "steps": 20, "dtype": "bf16"}, "sd15-random-bf16-512x768-s20-b4x8"),
        ({"variant": "compile+channels-last"}, "sd15-random-fp32-64x64-s4-compile+channels-last-b4x8"),
        ({"guidance": 7.5}, "sd15-random-fp32-64x64-s4-g7.5-b4x8"),
        ({"guidance": 7.0}, "sd15-random-fp32-64x64-s4-g7-b4x8"),
        (
            {"variant": "compile", "guidance": 1.0, "output_type": "pil", "weights_seed": 3},
            "sd15-random-fp32-64x64-s4-compile-g1-opil-w3-b4x8",
        ),
    ],
)
def test_an_id_names_what_is_not_the_default(changes: dict[str, object], expected: str) -> None:
    """Stored runs hold these texts: a change of the form would orphan every baseline."""
    assert replace(PLAIN, **changes).id == expected  # type: ignore[arg-type]  # a dict of mixed fields


def test_a_split_is_batch_size_by_batch_count() -> None:
    """``4x8`` makes 32 images."""
    assert (PLAIN.split, PLAIN.images) == ("4x8", 32)


def test_cases_of_one_curve_share_a_group() -> None:
    """Cases that differ in their split only form one curve over batch size."""
    assert PLAIN.group_id == replace(PLAIN, batch_size=1, batch_count=32).group_id
    assert PLAIN.group_id != replace(PLAIN, steps=5).group_id


@pytest.mark.parametrize("change", [{"steps": 9}, {"height": 128}, {"guidance": 1.0}, {"batch_size": 1}])
def test_cases_that_run_on_one_pipeline_share_a_pool_key(change: dict[str, int | float]) -> None:
    """What only changes the call needs no other pipeline."""
    assert replace(PLAIN, **change).pool_key == PLAIN.pool_key  # type: ignore[arg-type]  # a dict of mixed fields


@pytest.mark.parametrize(
    "change", [{"model": "sdxl"}, {"dtype": "fp16"}, {"device": "cuda:0"}, {"variant": "compile"}, {"weights_seed": 1}]
)
def test_cases_that_need_another_pipeline_have_another_pool_key(change: dict[str, str | int]) -> None:
    """What is loaded, moved or rewritten is part of the key."""
    assert replace(PLAIN, **change).pool_key != PLAIN.pool_key  # type: ignore[arg-type]  # a dict of mixed fields


def test_the_frames_of_a_video_follow_its_size() -> None:
    """A case of images has no such part."""
    assert replace(PLAIN, frames=81, guidance=5.0).id == "sd15-random-fp32-64x64-f81-s4-g5-b4x8"
    assert "-f" not in PLAIN.id.replace("-fp32", "")


@settings(max_examples=300)
@given(CASES, st.sampled_from(["", "-fast", "-2-x", "-b4x4"]))
def test_a_case_is_known_by_its_id(case: Case, own: str) -> None:
    """A controller sees node ids only: it gets the whole case back, whatever a test's own parameters add."""
    assert case_of_id(case.id + own, device=case.device) == case


@pytest.mark.parametrize("text", ["", "fast", "tiny-sd-fp32", "tiny-sd-fp8-64x64-s4-b1x1", "tiny-sd-fp32-64x64-s4-b1"])
def test_other_parameters_are_no_case(text: str) -> None:
    """Parameters of ordinary tests are left alone."""
    assert case_of_id(text, device="cpu") is None
