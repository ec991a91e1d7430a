"""Benchmarks of real diffusers pipelines on the CPU, inside this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from benchmark_run import Keeper, Result

from pytest_sdbatch import Outcome, read_run_file
from pytest_sdbatch.pipelines import architectures, build

SHORT = ("-o", "sd_max_seconds=0.1", "-o", "sd_warmup_calls=1", "--sd-steps=2", "--sd-device=cpu")
TEXT_TO_IMAGE = """
    def test_text_to_image(sd_benchmark, sd_pipeline):
        images = sd_benchmark(sd_pipeline)
        assert [tuple(batch.shape) for batch in images] == [
            (sd_benchmark.case.batch_size, 3, sd_benchmark.case.height, sd_benchmark.case.width)
        ] * sd_benchmark.case.batch_count
"""
Run = Callable[..., Result]


@pytest.fixture
def run(pytester: pytest.Pytester) -> Run:
    """Run a test file on the CPU with real pipelines, briefly."""

    def run_it(*arguments: str, source: str = TEXT_TO_IMAGE, conftest: str = "") -> Result:
        pytester.makepyfile(test_it=source)
        pytester.makeconftest(conftest)
        keeper = Keeper()
        done = pytester.runpytest_inprocess("-p", "no:cacheprovider", *SHORT, *arguments, plugins=[keeper])
        return Result(done, keeper.records)

    return run_it


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Keep the names of the catalog models that are built, in order."""
    built: list[str] = []
    original = build.build

    def counted(entry: architectures.Architecture, **keywords: object) -> object:
        built.append(entry.name)
        return original(entry, **keywords)  # type: ignore[arg-type]

    monkeypatch.setattr(build, "build", counted)
    return built


def test_two_models_are_measured_and_each_is_loaded_once(run: Run, loads: list[str]) -> None:
    """Two tests over two models load two pipelines: the cases of one follow each other, across tests."""
    source = TEXT_TO_IMAGE + TEXT_TO_IMAGE.replace("test_text_to_image", "test_again")

    result = run("--sd-models=tiny-sd,tiny-pixart", "--sd-batch-sizes=1,2", source=source)

    result.run.assert_outcomes(passed=8)
    assert loads == ["tiny-sd", "tiny-pixart"]
    assert "tiny-sd, tiny-pixart are for trying the tool" in " ".join(result.text.split())


def test_a_pipeline_is_gone_when_no_case_needs_it(run: Run) -> None:
    """Nothing that pytest or the plugin keeps of a finished test keeps its pipeline: the next load has the memory."""
    source = """
        import weakref

        SEEN = []

        def test_it(sd_benchmark, sd_pipeline):
            assert [alive for model, alive in SEEN if model != sd_benchmark.case.model and alive() is not None] == []
            SEEN.append((sd_benchmark.case.model, weakref.ref(sd_pipeline.vae)))
            sd_benchmark(sd_pipeline)
    """
    result = run("--sd-models=tiny-sd,tiny-pixart", "--sd-batch-sizes=1,2", source=source)

    result.run.assert_outcomes(passed=4)


def test_a_record_says_what_the_pipeline_made_of_the_case(run: Run) -> None:
    """Guidance doubles the denoiser's batch, each step calls it once, and every stage has its seconds."""
    result = run("--sd-batch-sizes=3")

    (record,) = result.records.values()
    assert record.outcome is Outcome.OK
    assert record.derived.denoiser_batch == 6
    assert record.derived.denoiser_calls == 2
    assert record.derived.parameters
    assert record.weights.kind == "random"
    assert record.output_check == "checked"
    assert record.stages is None
    for round_ in record.rounds:
        assert round_.stage_s is not None
        assert {"text_encoder", "denoiser", "scheduler", "vae_decode"} <= set(round_.stage_s)
        assert 0.5 * round_.wall_s < sum(round_.stage_s.values()) <= round_.wall_s


def test_a_pipeline_can_be_kept_and_changed(run: Run) -> None:
    """An sd_pipeline that asks for sd_pipeline gets the catalog's, and the id names its model."""
    conftest = """
        import pytest
        from diffusers import EulerDiscreteScheduler

        @pytest.fixture
        def sd_pipeline(sd_pipeline):
            before = sd_pipeline.scheduler
            sd_pipeline.scheduler = EulerDiscreteScheduler.from_config(before.config)
            yield sd_pipeline
            sd_pipeline.scheduler = before
    """
    result = run("--sd-batch-sizes=1", conftest=conftest)

    (record,) = result.records.values()
    assert record.case.id == "tiny-sd-fp32-64x64-s2-b1x1"
    assert record.derived.scheduler == "EulerDiscreteScheduler"


@pytest.mark.skipif(
    pytest.version_tuple < (9, 1), reason="older pytest does not tell a replaced fixture from a wrapped one"
)
def test_a_pipeline_can_be_replaced(run: Run, loads: list[str], tmp_path: Path) -> None:
    """The project's own pipeline is measured with its stages; nothing of the catalog is loaded or named."""
    build.build(architectures.ARCHITECTURES["tiny-sd"], device="cpu", dtype="fp32", seed=1).save_pretrained(tmp_path)
    loads.clear()
    conftest = f"""
        import pytest
        from diffusers import StableDiffusionPipeline

        @pytest.fixture
        def sd_pipeline(sd_case):
            return StableDiffusionPipeline.from_pretrained({str(tmp_path)!r}).to(sd_case.device)
    """
    source = "    import pytest\n    pytestmark = pytest.mark.sdbatch(models='my-model')\n" + TEXT_TO_IMAGE

    result = run("--sd-batch-sizes=1", source=source, conftest=conftest)

    (record,) = result.records.values()
    assert record.case.id == "my-model-own-fp32-64x64-s2-b1x1"
    assert record.weights.kind == "own"
    assert record.derived.denoiser_calls == 2
    assert loads == []


def test_a_callable_around_the_pipeline_keeps_its_stages(run: Run) -> None:
    """A function that calls sd_pipeline is measured with the pipeline's stages."""
    source = """
        def test_it(sd_benchmark, sd_pipeline):
            sd_benchmark(lambda batch: sd_pipeline(**batch.call_arguments()).images)
    """
    result = run("--sd-batch-sizes=2", source=source)

    (record,) = result.records.values()
    assert record.derived.denoiser_batch == 4
    assert record.output_check == "checked"


def test_a_saved_folder_is_measured_as_trained(run: Run, tmp_path: Path) -> None:
    """A folder loads by its path; its weights count as trained."""
    folder = tmp_path / "my model"
    build.build(architectures.ARCHITECTURES["tiny-sd"], device="cpu", dtype="fp32", seed=1).save_pretrained(folder)

    result = run(f"--sd-models={folder}", "--sd-batch-sizes=1")

    (record,) = result.records.values()
    assert record.outcome is Outcome.OK
    assert record.weights.kind == "trained"
    assert "my%20model" in record.case.id


def test_variants_are_measured_side_by_side(run: Run) -> None:
    """Variants compose, are named in the id in canonical order, and the record says what they switched on."""
    result = run("--sd-batch-sizes=2", "--sd-variants=eager,vae-slicing+channels-last,attention-slicing,vae-tiling")

    result.run.assert_outcomes(passed=4)
    sliced = result.records["tiny-sd-fp32-64x64-s2-channels-last+vae-slicing-b2x1"]
    assert sliced.derived.vae_slicing is True
    assert result.records["tiny-sd-fp32-64x64-s2-b2x1"].derived.vae_slicing is False


def test_dtypes_and_outputs_of_every_kind_are_checked(run: Run) -> None:
    """bf16 tensors, PIL images, arrays and latents all pass the check of outputs."""
    source = """
        import pytest

        @pytest.mark.parametrize("kind", ["a"])
        @pytest.mark.sdbatch(dtypes="bf16")
        def test_bf16(sd_benchmark, sd_pipeline, kind):
            sd_benchmark(sd_pipeline)

        @pytest.mark.sdbatch(output_type="pil")
        def test_pil(sd_benchmark, sd_pipeline):
            assert sd_benchmark(sd_pipeline)[0][0].size == (64, 64)

        @pytest.mark.sdbatch(output_type="np")
        def test_np(sd_benchmark, sd_pipeline):
            sd_benchmark(sd_pipeline)

        @pytest.mark.sdbatch(output_type="latent")
        def test_latent(sd_benchmark, sd_pipeline):
            sd_benchmark(sd_pipeline)
    """
    result = run("--sd-batch-sizes=2", source=source)

    result.run.assert_outcomes(passed=4)
    assert {record.output_check for record in result.records.values()} == {"checked"}
    assert all(record.stages is None for record in result.records.values())


def test_peak_memory_and_load_are_read(run: Run) -> None:
    """On Linux every round has the resident peak, and the record the seconds of loading."""
    result = run("--sd-batch-sizes=1")

    (record,) = result.records.values()
    assert record.memory_source == "host_peak_bytes"
    assert record.load_s.value
    peaks = [round_.host_peak_bytes for round_ in record.rounds]
    assert all(peak is None or peak > 1 << 27 for peak in peaks)
    assert "peak" in result.text


def test_the_benchmark_that_ships_runs_by_name(run: Run, pytester: pytest.Pytester) -> None:
    """`pytest --pyargs pytest_sdbatch.suite` needs no test file, and its rows are named for the package."""
    keeper = Keeper()

    done = pytester.runpytest_inprocess(
        "-p", "no:cacheprovider", "--pyargs", "pytest_sdbatch.suite", *SHORT, "--sd-batch-sizes=1", plugins=[keeper]
    )

    assert done.ret == 0
    (record,) = keeper.records.values()
    assert record.test == "pytest_sdbatch.suite::test_generation"


@pytest.mark.slow
def test_compiled_cases_start_from_an_empty_compiler(pytester: pytest.Pytester) -> None:
    """Each size compiles its own graphs, apart from the rounds: as many first as after another, and none in a round."""
    source = """
        import pytest

        @pytest.mark.sdbatch(batch_sizes=[2, 1])
        def test_both(sd_benchmark, sd_pipeline):
            sd_benchmark(sd_pipeline)

        @pytest.mark.sdbatch(batch_sizes=[2])
        def test_one_again(sd_benchmark, sd_pipeline):
            sd_benchmark(sd_pipeline)
    """
    pytester.makepyfile(source)

    # In a process of its own: the compiler's modules cannot be imported twice. Regional, for what it saves in time.
    done = pytester.runpytest_subprocess(*SHORT, "--sd-variants=compile-regional", "--sd-report=run.json")

    assert done.ret == 0
    records = read_run_file(pytester.path / "run.json")[0].records
    assert [record.case.batch_size for record in records] == [2, 1, 2]
    compilations = [record.compilation for record in records if record.compilation is not None]
    assert len({compilation.graphs for compilation in compilations}) == 1
    assert len(compilations) == 3
    for compilation in compilations:
        assert compilation.graphs >= 1
        assert compilation.recompiles_in_rounds == 0
        assert compilation.seconds > 0
