"""``sdbatch study``: what batch size and count do to learning, measured and held against what is said of them."""

from __future__ import annotations

import argparse
import hashlib
import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_sdbatch import units
from pytest_sdbatch.commands.help import Wrapped
from pytest_sdbatch.commands.refusal import as_json
from pytest_sdbatch.commands.screen import screen
from pytest_sdbatch.errors import OptionError, SdbatchError
from pytest_sdbatch.grid.axes import parse_choice, parse_count, parse_integers, parse_number

if TYPE_CHECKING:
    from pytest_sdbatch.analysis.learning_runs import Study
    from pytest_sdbatch.devices.device import Device
    from pytest_sdbatch.records import Fact
    from pytest_sdbatch.training.datasets import LearningData
    from pytest_sdbatch.training.study_plan import StudyPlan

SIZES = "16,64,256"
SEEDS = "3"
SAID, NOTHING, WRONG = 0, 12, 2
_POLICIES = ("tuned", "fixed", "sqrt", "linear")
_RATE = 4e-3  # at batch size 64, of data for which none was recorded
_EPILOG = f"""
Without --tune each batch size takes the learning rate that was tuned for it elsewhere, on digits; on other data it is
scaled from one rate by the root of the batch size, and nothing is said of large batches: an untuned rate makes them
look as if they converged badly. --tune searches the rate of each size first, and adds runs on parts of the data.

exit status, the first that applies:
   {WRONG}  the command line is wrong, the data cannot be learned from, or memory or disk did not do
  {NOTHING}  no batch size reached the target: the best loss of each is shown
 130  it was interrupted: the same command with --resume goes on
   {SAID}  else
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command and its options."""
    parser = commands.add_parser(
        "study",
        help="what do batch size and count do to learning? trains a small network on digits, or on --data FOLDER, to "
        "the same loss at several sizes, and holds what is said of them against it (minutes)",
        epilog=_EPILOG,
        formatter_class=Wrapped,
    )
    parser.add_argument("--data", metavar="FOLDER", help="your own images; sub-folders are classes")
    parser.add_argument("--resolution", metavar="N", help="side, in pixels, that your images are cropped and scaled to")
    parser.add_argument("--batch-sizes", default=SIZES, metavar="SIZES", help=f"such as 8:512:x2 (default: {SIZES})")
    parser.add_argument("--seeds", default=SEEDS, metavar="N", help=f"runs of each (default: {SEEDS})")
    parser.add_argument(
        "--target", metavar="LOSS", help="held-out loss to reach (default: 0.195 on digits, else found by a first run)"
    )
    parser.add_argument("--most-examples", metavar="N", help="that a run is given (default: 40 times the images)")
    parser.add_argument(
        "--rates", metavar="POLICY", help=f"{', '.join(_POLICIES)} (default: tuned on digits, else sqrt)"
    )
    parser.add_argument("--rate", metavar="RATE", help="learning rate at batch size 64, which the others follow from")
    parser.add_argument("--tune", action="store_true", help="search the learning rate of each size first; takes long")
    parser.add_argument("--device", default="cpu", metavar="DEVICE", help="cpu, cuda or cuda:1 (default: cpu)")
    parser.add_argument("--threads", default="1", metavar="N", help="of the CPU (default: 1; results depend on it)")
    parser.add_argument("--resume", action="store_true", help="go on with the interrupted study of the same options")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE.json",
        help="keep all that was measured in a new file, of which sdbatch report makes a page",
    )
    parser.add_argument("--show", type=Path, metavar="FILE.json", help="measure nothing: show what -o kept")
    parser.add_argument("--json", action="store_true", help="print the same for machines, and all else on stderr")
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Measure or read, print, and return the exit status."""
    from pytest_sdbatch.storage.study_file import read_study

    try:
        if given.show is not None and given.output is not None:
            raise OptionError("--show with -o", why="what is shown is kept already", fix="leave one of them out")
        study = read_study(given.show) if given.show is not None else _measure(given)
    except SdbatchError as error:
        if given.json:
            print(as_json(error, WRONG))
        print(f"ERROR: {error}", file=sys.stderr)
        return WRONG
    except KeyboardInterrupt:
        _tell("interrupted; the same command with --resume goes on")
        raise SystemExit(130) from None
    print(_text(study, as_json=given.json))
    return exit_status(study)


def exit_status(study: Study) -> int:
    """Return the exit status for *study*: whether any batch size reached the target."""
    from pytest_sdbatch.analysis.learning_curve import End
    from pytest_sdbatch.analysis.learning_runs import Part

    return SAID if any(one.end is End.REACHED for one in study.of(Part.TABLE)) else NOTHING


def _measure(given: argparse.Namespace) -> Study:
    from pytest_sdbatch.devices.detect import open_device
    from pytest_sdbatch.storage.exclusive import check_target
    from pytest_sdbatch.storage.study_file import StudyJournal, write_study
    from pytest_sdbatch.training.meter import Meter
    from pytest_sdbatch.training.study import StudyRunner

    options = _options(given)  # all that can be wrong is found before anything is loaded
    if given.output is not None:
        check_target(given.output)
    device = open_device(given.device)
    data = _data(given)
    plan = _plan(given, data, options, device=device.name)
    facts = _facts(device, options["threads"])
    journal = StudyJournal(Path(".sdbatch") / f"study-{_key(plan, facts)}")
    try:
        done = journal.begin(resume=given.resume)
        if given.resume:
            found = f"{units.count(done, 'run')} had ended" if done or journal.begun else ""
            _tell(found or "no interrupted study of these options was found: it begins anew")
        _tell(
            f"{data.name}: {units.count(data.train_count, 'image')} to train on, {len(data.held_out_images)} held out, "
            f"{len(data.class_names)} class{'es' if len(data.class_names) != 1 else ''}"
        )
        meter = Meter(device)
        runner = StudyRunner(plan, journal, _tell, meter.energy)
        study = runner.run(
            started_at=datetime.now(UTC).isoformat(timespec="seconds"), command=_command(given), facts=facts
        )
        study = replace(study, memory=meter.memory_of(study, runner.task))
        if given.output is not None:
            write_study(given.output, study)
            _tell(f"kept in {given.output}")
        journal.end()
    except OptionError:  # with these options there is nothing to go on with
        journal.end()
        raise
    finally:
        journal.close()
    return study


def _options(given: argparse.Namespace) -> dict[str, int]:
    """Return the whole numbers that were given, and refuse what cannot be meant."""
    if given.data is not None and not given.data:
        raise OptionError("--data is empty", fix="name a folder of images, or leave it out")
    if given.tune and given.rates is not None:
        raise OptionError("--tune with --rates", why="tuned rates follow no rule", fix="leave one of them out")
    if given.rates is not None:
        parse_choice(given.rates, option="--rates", choices=_POLICIES)
    if given.rates == "tuned" and given.data is not None:
        raise OptionError(
            "--rates=tuned with --data", why="rates were recorded for digits only", fix="tune them here: --tune"
        )
    if given.resolution is not None and given.data is None:
        raise OptionError("--resolution without --data", why="digits are 8x8", fix="leave it out")
    sizes = parse_integers(given.batch_sizes, option="--batch-sizes")
    if len(sizes) < 2:
        raise OptionError(
            f"--batch-sizes={given.batch_sizes}: one size", why="sizes are compared", fix="name two or more: 16,64,256"
        )
    if given.rate is not None:
        parse_number(given.rate, option="--rate", above=True)
    if given.target is not None:
        parse_number(given.target, option="--target", above=True)
    found = {
        "seeds": parse_count(given.seeds, option="--seeds"),
        "threads": parse_count(given.threads, option="--threads"),
    }
    for name, text in (("most_examples", given.most_examples), ("resolution", given.resolution)):
        if text is not None:
            found[name] = parse_count(text, option=f"--{name.replace('_', '-')}")
    return found


def _data(given: argparse.Namespace) -> LearningData:
    if given.data is None:
        from pytest_sdbatch.training.datasets import digits

        return digits()
    from pytest_sdbatch.training.datasets import folder_data

    side = None if given.resolution is None else parse_count(given.resolution, option="--resolution")
    return folder_data(Path(given.data).expanduser(), side=side)


def _plan(given: argparse.Namespace, data: LearningData, options: dict[str, int], *, device: str) -> StudyPlan:
    from pytest_sdbatch.analysis.learning_runs import RatePolicy
    from pytest_sdbatch.training.study_plan import DIGITS_TARGET, StudyPlan

    own = given.data is not None
    policy = RatePolicy(given.rates or ("sqrt" if own or given.rate is not None else "tuned"))
    reference = None if given.rate is None else parse_number(given.rate, option="--rate", above=True)
    if reference is not None and policy is RatePolicy.TUNED:
        raise OptionError("--rate with --rates=tuned", why="tuned rates follow no rule", fix="leave one of them out")
    if own and reference is None:
        reference = _RATE
    target = None if given.target is None else parse_number(given.target, option="--target", above=True)
    return StudyPlan(
        data=data,
        sizes=tuple(sorted(parse_integers(given.batch_sizes, option="--batch-sizes"))),
        seeds=tuple(range(options["seeds"])),
        policy=policy,
        reference=reference,
        target=target if target is not None or own else DIGITS_TARGET,
        most_examples=options.get("most_examples"),
        tune=given.tune,
        device=device,
    )


def _facts(device: Device, threads: int) -> dict[str, Fact]:
    """Set the threads, and return where this process computes."""
    from importlib import metadata

    from pytest_sdbatch.training.task import use_threads

    use_threads(threads)
    facts: dict[str, Fact] = {**device.facts()["must_match"]}
    facts |= {name: metadata.version(name) for name in ("torch", "diffusers", "pytest-sdbatch")}
    return facts


def _key(plan: StudyPlan, facts: dict[str, Fact]) -> str:
    """Return a name for all that decides what a run gives: the options, the images, and where it is computed."""
    digest = hashlib.sha256()
    for tensor in (plan.data.images, plan.data.labels, plan.data.held_out_images, plan.data.held_out_labels):
        digest.update(tensor.contiguous().numpy().tobytes())
    options = [(field.name, getattr(plan, field.name)) for field in fields(plan) if field.name != "data"]
    digest.update(repr((options, sorted(facts.items()))).encode())
    return digest.hexdigest()[:16]


def _command(given: argparse.Namespace) -> str:
    words: Sequence[str] = getattr(given, "words", None) or ["study"]
    return shlex.join(["sdbatch", *words])


def _tell(text: str) -> None:
    print(f"sdbatch: {text}", file=sys.stderr, flush=True)


def _text(study: Study, *, as_json: bool) -> str:
    from pytest_sdbatch.report.study import render_study
    from pytest_sdbatch.report.study_data import study_data

    if as_json:
        return json.dumps({"exit_status": exit_status(study), **study_data(study)}, allow_nan=False)
    return render_study(study, **screen())
