"""From options to cases: every combination, in the order written, and refused before anything is loaded."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_sdbatch.errors import ModelError, OptionError
from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.grid.plan import Defaults, ModelFacts, plan, smallest
from pytest_sdbatch.options import Options, Origin, resolve

DEFAULTS = Defaults(device="cpu", model="tiny-sd", dtype="fp32", height=64, width=64, steps=4)
ORIGINS = (Origin.INI, Origin.MARKER, Origin.COMMAND_LINE)
STRONGER = tuple(itertools.combinations(ORIGINS, 2))  # (weaker, stronger)


class FakeCatalog:
    """A catalog of four models whose pipelines do not exist."""

    MODELS = (
        ModelFacts(name="tiny-sd", weights="random", height=64, width=64, steps=4, factor=8),
        ModelFacts(name="sd15", weights="random", height=512, width=512, steps=20, factor=8),
        ModelFacts(name="folder", weights="trained", height=1024, width=768, steps=30, factor=16),
        ModelFacts(
            name="video", weights="random", height=480, width=832, steps=50, factor=16, frames=81, frames_factor=4
        ),
    )
    VARIANTS = ("channels-last", "compile", "eager")

    def facts(self, name: str) -> ModelFacts:
        """Return the facts of a model that was made up."""
        for facts in self.MODELS:
            if facts.name == name:
                return facts
        raise ModelError(f"no model {name!r}", fix="use tiny-sd")

    def canonical_variant(self, text: str) -> str:
        """Return the parts of *text* in alphabetical order."""
        parts = sorted(text.split("+"))
        for part in parts:
            if part not in self.VARIANTS:
                raise OptionError(f"unknown variant {part}", fix="use eager")
        return "+".join(parts)

    def check_variant(self, variant: str, facts: ModelFacts) -> None:
        """Refuse to compile what makes videos."""
        if variant == "compile" and facts.frames is not None:
            raise ModelError("no", fix="leave it out")


def given_as(
    *,
    ini: Mapping[str, object] | None = None,
    marker: Mapping[str, object] | None = None,
    command_line: Mapping[str, object] | None = None,
) -> Options:
    """Return options with values of these origins."""
    return resolve(command_line=command_line or {}, ini=ini or {}, overrides={}).with_marker(marker or {})


def options_of(values: Mapping[Origin, Mapping[str, object]]) -> Options:
    """Return options with these values by origin."""
    return given_as(
        ini=values.get(Origin.INI), marker=values.get(Origin.MARKER), command_line=values.get(Origin.COMMAND_LINE)
    )


def planned(options: Options, *, with_model: bool = True) -> tuple[Case, ...]:
    """Return the cases of *options* on a CPU."""
    return plan(options, FakeCatalog(), DEFAULTS, with_model=with_model)


def splits(options: Options) -> list[str]:
    """Return the splits of *options*, in order."""
    return [case.split for case in planned(options)]


def refusal(options: Options) -> OptionError:
    """Return the error that planning raises, after checking that a user can act on it."""
    with pytest.raises(OptionError) as caught:
        planned(options)
    assert caught.value.fix
    return caught.value


def test_without_options_the_device_and_the_model_decide() -> None:
    """The default grid is the default model at its native size and number of steps, at three batch sizes."""
    cases = planned(given_as())

    assert [case.id for case in cases] == [f"tiny-sd-fp32-64x64-s4-b{size}x1" for size in (1, 4, 8)]
    assert {case.device for case in cases} == {"cpu"}


def test_cases_come_in_the_order_written_with_the_splits_innermost() -> None:
    """What is loaded changes slowest: models, dtypes, variants, resolutions, steps, sizes, counts."""
    options = given_as(
        command_line={
            "models": "sd15,tiny-sd",
            "dtypes": "bf16,fp32",
            "variants": "compile,eager",
            "resolutions": "128,64x128",
            "steps": "9,4",
            "batch_sizes": "8,1",
            "batch_counts": "2,1",
        }
    )
    expected = itertools.product(
        ("sd15", "tiny-sd"), ("bf16", "fp32"), ("compile", "eager"), ((128, 128), (64, 128)), (9, 4), (8, 1), (2, 1)
    )

    assert [
        (c.model, c.dtype, c.variant, (c.height, c.width), c.steps, c.batch_size, c.batch_count)
        for c in planned(options)
    ] == list(expected)


def test_each_model_brings_its_own_resolution_steps_and_weights() -> None:
    """What was not given is the model's, not the first model's."""
    cases = planned(given_as(command_line={"models": "sd15,folder", "batch_sizes": "1"}))

    assert [(c.height, c.width, c.steps, c.weights) for c in cases] == [
        (512, 512, 20, "random"),
        (1024, 768, 30, "trained"),
    ]


def test_settings_of_a_whole_test_reach_every_case() -> None:
    """Guidance, output type and the seed of the weights are no axes."""
    cases = planned(given_as(marker={"guidance": 7.5, "output_type": "latent", "weights_seed": 3}))

    assert {(c.guidance, c.output_type, c.weights_seed) for c in cases} == {(7.5, "latent", 3)}


def test_an_unknown_model_is_the_catalogs_error() -> None:
    """The catalog knows which names there are; planning passes its answer on."""
    with pytest.raises(ModelError, match="no model 'sd99'"):
        planned(given_as(command_line={"models": "tiny-sd,sd99"}))


@given(st.integers(1, 4000))
def test_images_are_made_in_every_split(images: int) -> None:
    """Every split makes exactly this number of images, and none is left out."""
    cases = planned(given_as(command_line={"images": images}))

    assert {case.images for case in cases} == {images}
    assert [case.batch_size for case in cases] == [size for size in range(1, images + 1) if images % size == 0]


@pytest.mark.parametrize(("weaker", "origin"), STRONGER)
@pytest.mark.parametrize("axis", ["batch_sizes", "batch_counts"])
def test_images_win_over_axes_of_weaker_origin(weaker: Origin, origin: Origin, axis: str) -> None:
    """Asking for a number of images on the command line sets aside the axes of markers and files."""
    assert splits(options_of({weaker: {axis: "3"}, origin: {"images": 4}})) == ["1x4", "2x2", "4x1"]


@pytest.mark.parametrize(("origin", "stronger"), STRONGER)
@pytest.mark.parametrize(("axis", "expected"), [("batch_sizes", ["3x1"]), ("batch_counts", ["1x3", "4x3", "8x3"])])
def test_axes_of_stronger_origin_win_over_images(
    origin: Origin, stronger: Origin, axis: str, expected: list[str]
) -> None:
    """Batch sizes typed on the command line set aside the number of images of a marker or file."""
    assert splits(options_of({origin: {"images": 4}, stronger: {axis: "3"}})) == expected


@pytest.mark.parametrize("origin", ORIGINS)
def test_images_and_batch_sizes_of_one_origin_give_the_batch_counts(origin: Origin) -> None:
    """Sizes given beside the images choose among the splits, in the order of the sizes."""
    assert splits(options_of({origin: {"images": 16, "batch_sizes": "8,2"}})) == ["8x2", "2x8"]


@pytest.mark.parametrize("origin", ORIGINS)
def test_batch_sizes_that_do_not_divide_the_images_are_measured_in_their_full_calls(origin: Origin) -> None:
    """10 images at 4 are 4+4+2: the plan adds the call of 2, which the grid has a case for."""
    assert splits(options_of({origin: {"images": 10, "batch_sizes": "2,4"}})) == ["2x5", "4x2"]


@pytest.mark.parametrize("origin", ORIGINS)
def test_batch_sizes_above_the_images_are_refused(origin: Origin) -> None:
    """No call of 16 can be filled with 12 images."""
    error = refusal(options_of({origin: {"images": 12, "batch_sizes": "4,16"}}))

    assert "a batch of 16" in error.what
    assert "1,2,3,4,6,12" in error.fix


@pytest.mark.parametrize("origin", ORIGINS)
def test_images_and_batch_counts_of_one_origin_do_not_go_together(origin: Origin) -> None:
    """Two of three are given by the third; the error names both as they were written."""
    options = options_of({origin: {"images": 4, "batch_counts": "2"}})

    error = refusal(options)

    assert options.spelled("images") in error.what
    assert options.spelled("batch_counts") in error.what


def test_an_axis_of_stronger_origin_decides_also_beside_a_weaker_one() -> None:
    """Sizes of the command line and counts of the file set aside the marker's images together."""
    options = options_of(
        {Origin.INI: {"batch_counts": "2"}, Origin.MARKER: {"images": 4}, Origin.COMMAND_LINE: {"batch_sizes": "3"}}
    )

    assert splits(options) == ["3x2"]


def test_more_images_than_anyone_can_make_are_refused_before_they_are_split() -> None:
    """Finding the divisors of an 18-digit number would take minutes."""
    assert "--sd-images" in refusal(given_as(command_line={"images": "9" * 18})).what


@pytest.mark.parametrize(
    ("sizes", "counts", "cases"),
    [("1:10001", "1", 10_001), ("1:100000", "1:100000", 10**10), ("1:101", "1:100", 10_100)],
)
def test_a_grid_that_is_too_large_is_refused_without_building_it(sizes: str, counts: str, cases: int) -> None:
    """Ten billion cases would fill memory; their number is known from the lengths of the axes."""
    error = refusal(given_as(command_line={"batch_sizes": sizes, "batch_counts": counts}))

    assert f"{cases:,} cases" in error.what
    assert f"sd_max_cases={cases}" in error.fix


def test_every_axis_counts_towards_the_largest_grid() -> None:
    """The limit is on cases, whichever axes multiply to them."""
    axes = {"models": "tiny-sd,sd15", "dtypes": "fp32,bf16", "variants": "eager,compile", "resolutions": "64,128"}

    error = refusal(given_as(command_line={**axes, "steps": "1:2", "batch_sizes": "1:3", "max_cases": 95}))

    assert "96 cases" in error.what


def test_a_grid_as_large_as_the_limit_is_admitted() -> None:
    """The limit is the largest grid that runs, and it can be raised as the error says."""
    assert len(planned(given_as(command_line={"batch_sizes": "1:10000"}))) == 10_000
    assert len(planned(given_as(command_line={"batch_sizes": "1:10001", "max_cases": 10_001}))) == 10_001


def test_a_resolution_that_the_pipeline_cannot_make_is_refused() -> None:
    """The error names the model, the factor and the nearest resolution that works."""
    error = refusal(given_as(command_line={"models": "folder", "resolutions": "512x516"}))

    assert "folder cannot make 512x516" in error.what
    assert "multiples of 16" in error.why
    assert error.fix == "use 512x512"


@given(st.integers(1, 2000), st.integers(1, 2000))
def test_a_resolution_is_admitted_or_the_one_recommended_is(height: int, width: int) -> None:
    """What the error tells to write works when it is written."""
    try:
        planned(given_as(command_line={"resolutions": f"{height}x{width}"}))
    except OptionError as error:
        planned(given_as(command_line={"resolutions": error.fix.removeprefix("use ")}))


def test_the_users_own_pipeline_has_no_factor_that_is_known() -> None:
    """A test without our pipeline may use any resolution its code can make."""
    cases = planned(given_as(command_line={"resolutions": "123"}), with_model=False)

    assert {(case.height, case.width) for case in cases} == {(123, 123)}


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("float32", "fp32"),
        ("float", "fp32"),
        ("torch.float16", "fp16"),
        ("half", "fp16"),
        ("bfloat16", "bf16"),
        ("FP16", "fp16"),
        ("BF16", "bf16"),
    ],
)
def test_other_names_of_a_dtype_are_answered_with_ours(name: str, meant: str) -> None:
    """One spelling keeps one case from having two ids."""
    assert refusal(given_as(command_line={"dtypes": name})).fix == f"write {meant}"
    error = refusal(given_as(command_line={"variants": name}))
    assert "is a dtype" in error.what
    assert f"--sd-dtypes={meant}" in error.fix


def test_an_unknown_dtype_is_answered_with_all_of_them() -> None:
    """The error lists what there is."""
    assert "fp32, fp16, bf16" in refusal(given_as(command_line={"dtypes": "fp32,int3"})).fix


def test_a_dtype_given_as_a_variant_is_answered_with_the_right_option() -> None:
    """``fp16`` is what diffusers calls a variant of a checkpoint; here it is a dtype."""
    error = refusal(given_as(command_line={"variants": "fp16"}))

    assert "fp16 is a dtype, not a variant" in error.what
    assert error.fix == "use --sd-dtypes=fp16"


def test_a_variant_in_two_orders_is_one_variant() -> None:
    """Parts joined by + come in canonical order; giving both orders is a repetition."""
    cases = planned(given_as(command_line={"variants": "compile+channels-last"}))

    assert {case.variant for case in cases} == {"channels-last+compile"}
    assert "the same variant" in refusal(
        given_as(command_line={"variants": "compile+channels-last,channels-last+compile"})
    ).what  # fmt: skip


def test_a_test_of_the_users_own_code_carries_no_model() -> None:
    """Code that brings its own pipeline does not run the default model."""
    cases = planned(given_as(), with_model=False)

    assert {(case.model, case.weights) for case in cases} == {(None, "own")}


def test_a_model_of_the_users_own_code_is_only_a_name() -> None:
    """It need not be in the catalog, and nothing of the catalog's is assumed."""
    cases = planned(given_as(marker={"models": ["app", "sd15"], "batch_sizes": 1}), with_model=False)

    assert [(case.model, case.weights, case.height, case.steps) for case in cases] == [
        ("app", "own", 64, 4),
        ("sd15", "own", 64, 4),
    ]


def test_a_grid_has_no_two_cases_with_one_id() -> None:
    """Each case of a test is a test of its own to pytest, found by its id."""
    options = given_as(command_line={"models": "tiny-sd,sd15,folder", "resolutions": "64,128", "batch_sizes": "1:9"})

    ids = [case.id for case in planned(options)]

    assert len(set(ids)) == len(ids) == 54


def test_the_smallest_case_is_the_cheapest_to_run_once() -> None:
    """Images times steps times pixels decide; among equals the smaller batch needs less memory."""
    options = given_as(command_line={"resolutions": "128,64", "steps": "9,2", "images": 4})

    case = smallest(reversed(planned(options)))

    assert (case.height, case.steps, case.split) == (64, 2, "1x4")


def test_frames_are_the_models_own_where_none_were_given() -> None:
    """A model of images has none."""
    cases = planned(given_as(command_line={"models": "sd15,video", "batch_sizes": "1"}))

    assert [case.frames for case in cases] == [None, 81]
    assert cases[1].id == "video-random-fp32-480x832-f81-s50-b1x1"


def test_frames_reach_every_case_of_a_video_model() -> None:
    """The option is one number, from any origin."""
    assert {case.frames for case in planned(given_as(command_line={"models": "video", "frames": "5"}))} == {5}
    assert {case.frames for case in planned(given_as(marker={"models": "video", "frames": 9}))} == {9}


def test_frames_for_a_model_of_images_are_refused() -> None:
    """A number that would change nothing is a mistake, and the model is named."""
    error = refusal(given_as(command_line={"models": "video,sd15", "frames": "5"}))

    assert "--sd-frames" in error.what
    assert "sd15" in error.what


def test_a_number_of_frames_that_the_model_would_round_is_refused() -> None:
    """The numbers on either side are given."""
    error = refusal(given_as(command_line={"models": "video", "frames": "16"}))

    assert "multiple of 4" in error.why
    assert error.fix == "use 13 or 17"


def test_a_test_with_its_own_pipeline_may_have_any_frames() -> None:
    """Nothing is known of it, so the user's word is taken."""
    cases = planned(given_as(command_line={"frames": "6"}), with_model=False)

    assert {case.frames for case in cases} == {6}
    assert {case.frames for case in planned(given_as(), with_model=False)} == {None}


def test_more_frames_cost_more() -> None:
    """The smallest case is the one with the fewest pixels in all."""
    cases = planned(given_as(command_line={"models": "video", "frames": "5", "batch_sizes": "1"}))
    images = planned(given_as(command_line={"models": "folder", "batch_sizes": "1", "steps": "50"}))

    assert smallest([*cases, *images]) is images[0]


def test_sizes_that_grow_with_memory_end_at_the_images_that_are_wanted() -> None:
    """A batch of more would not be full."""
    assert splits(given_as(command_line={"batch_sizes": "auto", "images": 6})) == ["1x6", "2x3", "4x1"]
