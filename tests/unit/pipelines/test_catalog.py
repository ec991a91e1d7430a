"""The catalog: names, near names, and everything that is not a name."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from typing import Any

import pytest

from pytest_sdbatch.errors import ModelError, OptionError
from pytest_sdbatch.pipelines.architectures import ARCHITECTURES
from pytest_sdbatch.pipelines.catalog import Model, ModelCatalog, checked, told
from pytest_sdbatch.pipelines.variants import VARIANTS, Variant


def load_nothing(device: str, dtype: object) -> None:
    """Load nothing."""


def model(name: str = "mine", **fields: Any) -> Model:
    """Return a model of a project."""
    given: dict[str, Any] = {"name": name, "what": "a model", "load": load_nothing, "height": 64, "width": 128}
    return Model(**given | fields)


def variant(name: str = "euler") -> Variant:
    """Return a variant of a project."""
    return Variant(name=name, what="another scheduler", apply=lambda pipeline: None)


def test_facts_of_a_name_are_those_of_its_architecture() -> None:
    """Native resolution and steps are the defaults of the grid."""
    facts = ModelCatalog().facts("sdxl")

    assert (facts.weights, facts.height, facts.width, facts.steps, facts.factor) == ("random", 1024, 1024, 20, 8)
    assert facts.parameters == 3_468_837_867
    assert ModelCatalog().facts("sd21").height == 768


def test_facts_of_a_video_model_hold_its_frames() -> None:
    """81 frames, one more than a multiple of 4, are as native as 480x832; an image model has none."""
    facts = ModelCatalog().facts("wan21-1.3b")

    assert (facts.height, facts.width, facts.frames, facts.frames_factor) == (480, 832, 81, 4)
    assert (facts.steps, facts.factor) == (50, 16)
    assert ModelCatalog().facts("flux-dev").frames is None


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("tiny-sdx", "did you mean tiny-sdxl"),
        ("SD15", "did you mean sd15"),
        ("TINY-SDXL", "did you mean tiny-sdxl"),
        ("qqq", ""),
        ("tiny_sd", "tiny-sd"),
    ],
)
def test_an_unknown_name_is_answered_with_near_ones(name: str, hint: str) -> None:
    """A typing error costs one look."""
    with pytest.raises(ModelError, match="unknown model") as error:
        ModelCatalog().facts(name)

    assert hint in error.value.fix
    assert "see `sdbatch models`" in error.value.fix


def test_a_path_that_does_not_exist_is_no_unknown_name() -> None:
    """The error speaks of the folder that was meant."""
    with pytest.raises(ModelError, match="no such folder"):
        ModelCatalog().facts("./nowhere")


def test_the_listing_has_every_model_and_its_bytes() -> None:
    """What `sdbatch models` prints: weights take 4 bytes a parameter in fp32, 2 in fp16 and bf16."""
    rows = {row.name: row for row in ModelCatalog().listing()}

    assert list(rows) == list(ARCHITECTURES)
    sd15 = rows["sd15"]
    assert sd15.parameters == 1_066_235_307
    assert sd15.weight_bytes == {"fp32": 4_264_941_228, "fp16": 2_132_470_614, "bf16": 2_132_470_614}


def test_a_catalog_may_hold_other_architectures() -> None:
    """Projects add their own."""
    catalog = ModelCatalog({"mine": ARCHITECTURES["tiny-sd"]})

    assert catalog.facts("mine").name == "mine"
    assert catalog.architecture("sd15") is None


def test_variants_are_read_by_the_table() -> None:
    """The grid asks the catalog, which asks the variants."""
    assert ModelCatalog().canonical_variant("compile+channels-last") == "channels-last+compile"


def test_looking_at_models_imports_no_torch() -> None:
    """Planning and listing are instant: nothing heavy is loaded for a name, a folder or an error."""
    code = """
import sys
from pytest_sdbatch.errors import ModelError
from pytest_sdbatch.pipelines.catalog import ModelCatalog
catalog = ModelCatalog()
catalog.facts("sdxl"), catalog.listing(), catalog.canonical_variant("compile")
try:
    catalog.facts(".")
except ModelError:
    pass
import pytest_sdbatch.pipelines.pool, pytest_sdbatch.pipelines.generation
print(sorted({"torch", "diffusers", "transformers", "numpy", "huggingface_hub"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_facts_of_a_project_s_model_are_what_it_says() -> None:
    """Its weights are its own, and nobody counts its parameters before it is loaded."""
    facts = ModelCatalog(models={"mine": model(steps=3, factor=16, frames=9, frames_factor=4)}).facts("mine")

    assert (facts.weights, facts.height, facts.width, facts.steps, facts.factor) == ("own", 64, 128, 3, 16)
    assert (facts.frames, facts.frames_factor, facts.parameters) == (9, 4, None)


def test_the_listing_ends_with_the_project_s() -> None:
    """Sizes are missing, not 0."""
    row = ModelCatalog(models={"mine": model()}).listing()[-1]

    assert (row.name, row.what, row.parameters, dict(row.weight_bytes)) == ("mine", "a model", None, {})
    assert [row.name for row in ModelCatalog(variants={"euler": variant()}).variant_listing()] == [*VARIANTS, "euler"]


def test_a_project_s_variant_is_known_where_it_was_added_and_only_there() -> None:
    """It joins those that ship, behind them."""
    catalog = ModelCatalog(variants={"euler": variant()})

    assert catalog.canonical_variant("euler+vae-slicing") == "vae-slicing+euler"
    with pytest.raises(OptionError, match="unknown variant 'euler'"):
        ModelCatalog().canonical_variant("euler")


@pytest.mark.parametrize(
    "fields",
    [
        {"height": 0},
        {"width": -8},
        {"steps": 1.5},
        {"factor": True},
        {"frames": 0},
        {"frames_factor": 0},
        {"frames": 9, "frames_factor": 5},
        {"height": 60},
        {"height": 64, "factor": 24},
        {"load": "weights/mine"},
    ],
)
def test_a_model_that_no_grid_can_be_made_of_is_refused(fields: dict[str, Any]) -> None:
    """The error names the model and the field, where the project wrote it."""
    with pytest.raises(ModelError, match="model 'mine'") as error:
        model(**fields)

    assert error.value.fix


def test_what_hooks_return_is_collected_in_order() -> None:
    """Any number of plugins, each with any number of models; a tuple or a generator is a list too."""
    first, second, third = model("a"), model("B_1.2"), model("c-d")

    given = [("x", [first]), ("y", []), ("conftest.py", (second, third))]
    assert checked(given, Model, taken=()) == {"a": first, "B_1.2": second, "c-d": third}
    assert list(checked([("z", (variant(name) for name in "ab"))], Variant, taken=())) == ["a", "b"]


@pytest.mark.parametrize(
    ("items", "says"),
    [
        (3, "an object of type int"),
        ("mine", "an object of type str"),
        ({"mine": model()}, "an object of type dict"),
        ([None], "nothing"),
        (["mine"], "an object of type str"),
        ([variant()], "an object of type Variant"),
    ],
)
def test_what_is_no_list_of_models_is_refused(items: object, says: str) -> None:
    """The error names the hook, where it is, and what to return."""
    with pytest.raises(ModelError, match=r"pytest_sdbatch_models in conftest\.py") as error:
        checked([("conftest.py", items)], Model, taken=())

    assert says in error.value.what
    assert "pytest_sdbatch.Model" in error.value.fix


@pytest.mark.parametrize("name", ["", "a,b", "a+b", "org/name", "./x", "~x", "a b", "x.safetensors", "é", "-a", ".a"])
def test_a_name_that_no_option_could_give_is_refused(name: str) -> None:
    """Commas and pluses separate, slashes and dots begin paths."""
    with pytest.raises(ModelError, match="gave a model called"):
        checked([("conftest.py", [model(name)])], Model, taken=())


@pytest.mark.parametrize("fields", [{"name": 5}, {"what": None}, {"apply": None}])
def test_a_variant_of_other_types_is_refused_before_anything_is_listed(fields: dict[str, Any]) -> None:
    """`sdbatch models` would otherwise end in a traceback, and a run in the middle of its table."""
    item = dataclasses.replace(variant("fast"), **fields)

    with pytest.raises(ModelError, match=r"pytest_sdbatch_variants in conftest\.py gave") as error:
        checked([("conftest.py", [item])], Variant, taken=VARIANTS)

    ((field, value),) = fields.items()
    assert f"{field}={value!r}" in error.value.what


def test_a_name_given_twice_names_both_who_gave_it() -> None:
    """So does a name that ships, and one that a single hook gives twice."""
    with pytest.raises(ModelError, match="two models are called 'mine'") as error:
        checked([("plugin_a", [model()]), ("conftest.py", [model()])], Model, taken=())
    assert error.value.why == "one is of plugin_a, one of conftest.py"

    with pytest.raises(ModelError, match="two variants are called 'compile'") as error:
        checked([("conftest.py", [variant("compile")])], Variant, taken=VARIANTS)
    assert error.value.why == "one is of pytest-sdbatch itself, one of conftest.py"

    with pytest.raises(ModelError) as error:
        checked([("conftest.py", [model(), model()])], Model, taken=())
    assert error.value.why == "one is of conftest.py, one of conftest.py"


@pytest.mark.parametrize("fields", [{"compiles": True}, {"on_host": True}, {"check": load_nothing}])
def test_a_project_s_variant_has_a_name_and_what_it_does_and_no_more(fields: dict[str, Any]) -> None:
    """One that compiles by itself would be timed like one that does not; joined with compile it is timed right."""
    with pytest.raises(ModelError, match="gave variant 'fast' with") as error:
        checked([("conftest.py", [dataclasses.replace(variant("fast"), **fields)])], Variant, taken=VARIANTS)

    assert next(iter(fields)) in error.value.what
    assert "fast+compile" in error.value.fix


def test_an_error_is_told_in_one_line_with_its_place() -> None:
    """The first line of the message, and the last line of code that is neither ours nor a library's."""
    with pytest.raises(ModelError) as refused:
        model(height=0)
    assert told(refused.value).startswith("ModelError: model 'mine': height=0 (test_catalog.py:")

    with pytest.raises(ValueError, match="first") as raised:
        raise ValueError("first\nsecond")
    assert told(raised.value).startswith("ValueError: first (test_catalog.py:")
    assert told(KeyError()) == "KeyError: no reason given"
