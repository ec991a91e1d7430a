"""One table of options. Every option can be an ini key ``sd_x`` and a marker ``sdbatch(x=...)``; some have a flag.

Text comes in, text with its origin goes out; the accessors of :class:`Options` turn it into a value. The order of origins is
command line (flags and ``-o``), marker, ini, default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from pytest_sdbatch.errors import OptionError, did_you_mean
from pytest_sdbatch.grid import axes

if TYPE_CHECKING:
    from pytest_sdbatch.grid.shards import Shard


class Origin(IntEnum):
    """Where the text of an option came from; the higher one wins."""

    DEFAULT = 0
    INI = 1
    MARKER = 2
    COMMAND_LINE = 3


@dataclass(frozen=True, slots=True)
class Option:
    """One row of the table."""

    name: str
    kind: str  # integers, sizes, names, resolutions, count, number, seconds, share, choice, text, path, files, switch, budget, limit, price, shard, place; see Options
    help: str
    default: str | None = None  # None: decided by the device or the model
    flag: str | None = None  # metavar of the command line flag; None: ini and marker only
    group: str = "measure"
    axis: bool = False  # an axis is plural, and its singular spelling is accepted
    choices: tuple[str, ...] = ()
    marker: bool = True

    @property
    def singular(self) -> str | None:
        """The other accepted spelling of an axis."""
        return self.name.removesuffix("s") if self.axis and self.name.endswith("s") else None

    @property
    def spellings(self) -> tuple[str, ...]:
        """Every accepted name, the canonical one first."""
        return (self.name,) if self.singular is None else (self.name, self.singular)


GROUPS = {
    "measure": "pytest-sdbatch: what to measure",
    "decide": "pytest-sdbatch: what decides",
    "keep": "pytest-sdbatch: what is kept and shown",
}

# In the order in which --help, the reference and the header show them.
# A table reads best with a row a line.
# ruff: noqa: E501
TABLE: tuple[Option, ...] = (
    Option("models", "names", "catalog names (see `sdbatch models`), folders, .safetensors files or hub ids", flag="NAMES", axis=True),
    Option("batch_sizes", "sizes", "images per pipeline call, or per training batch: 1,4,8 or 1:64:x2; auto: as many as fit, auto:64 at most", "1,4,8", flag="SIZES", axis=True),
    Option("batch_counts", "integers", "calls one after another in a round; of training batches per epoch, all of the data unless given", "1", flag="COUNTS", axis=True),
    Option("images", "count", "make this number of images in every split: 1xN ... Nx1; of training how many the data has", flag="N"),
    Option("steps", "integers", "denoising steps per image", flag="STEPS"),
    Option("resolutions", "resolutions", "512 or HEIGHTxWIDTH", flag="PIXELS", axis=True),
    Option("frames", "count", "frames of a video; left out: the model's own number", flag="N"),
    Option("dtypes", "names", "fp32, fp16 or bf16", flag="DTYPES", axis=True),
    Option("device", "text", "auto, cpu, cuda or cuda:N; cuda never falls back to the CPU", "auto", flag="DEVICE", marker=False),
    Option("variants", "names", "eager, compile, channels-last, ... joined by + (see `sdbatch models`)", "eager", flag="NAMES", axis=True),
    Option("guidance", "number", "guidance scale; left out: the pipeline's own default"),
    Option("output_type", "choice", "what a call returns: pt (tensors), latent, np or pil", "pt", choices=("pt", "latent", "np", "pil")),
    Option("prompts", "path", "text file with one prompt a line; prompts are used in turn"),
    Option("seed", "count0", "image k of a case has seed + k", "0"),
    Option("weights_seed", "count0", "seed of random weights", "0"),
    Option("train_method", "choice", "what a training step trains: lora (adapters) or full (all of the denoiser)", "lora", choices=("lora", "full")),
    Option("train_rank", "count", "rank of LoRA", "16"),
    Option("train_optimizer", "choice", "adamw, adamw8bit (needs bitsandbytes), adafactor or sgd", "adamw", choices=("adamw", "adamw8bit", "adafactor", "sgd")),
    Option("train_rate", "seconds", "learning rate; left out: 1e-4 for LoRA, 1e-5 for all weights"),
    Option("train_checkpointing", "switch", "compute activations again in the backward pass instead of keeping them", "yes"),
    Option("train_accumulation", "integers", "batches per optimizer step: 1,4", "1"),
    Option("train_cache", "switch", "make latents and text embeddings once, before the steps, and drop VAE and text encoders", "yes"),
    Option("train_data", "path", "folder of images to train on, captions beside them as NAME.txt; left out: made-up ones"),
    Option("train_repeats", "count", "how often an epoch shows each image", "1"),
    Option("rounds", "count", "exactly this many rounds, at least 3, instead of the stopping rule"),
    Option("min_rounds", "count", "rounds before any other rule may stop", "5"),
    Option("max_rounds", "count", "most rounds of a case", "30"),
    Option("max_seconds", "seconds", "seconds of rounds after which a case ends; min_rounds wins", "20"),
    Option("precision", "share", "stop when the 99 % half-width is within this share", "1%"),
    Option("warmup_calls", "count", "most warm-up calls of a shape", "10"),
    Option("warmup_seconds", "seconds", "seconds of warm-up after which no further call starts", "30"),
    Option("after_oom", "choice", "larger batch sizes after one ran out of memory: skip them, or try", "skip", choices=("skip", "try")),
    Option("memory_round", "switch", "read the memory in use in one more round, which is not timed", "yes"),
    Option("foreign_processes", "choice", "other processes on the GPU before or after a case: warn marks it, fail fails it, ignore does neither", "warn", choices=("warn", "fail", "ignore")),
    Option("compile_cache", "choice", "keep: use torch's own compile cache; private: every case compiles anew", "private", choices=("private", "keep")),
    Option("baseline", "text", "compare with this stored run: a name, REF:NAME of another commit, or a .json file", flag="NAME", group="decide", marker=False),
    Option("gate", "switch", "fail what regressed against --sd-baseline, and what breaks a limit", "no", flag="", group="decide", marker=False),
    Option("fail_on", "choice", "what --sd-gate does not let pass: inconclusive ends with exit status 11", "regressed", group="decide", choices=("regressed", "inconclusive"), marker=False),
    Option("budget", "budget", "by how much a case may be worse than its baseline: time:3%,peak-memory:1%", group="decide"),
    Option("limit", "limit", "what a case must keep: latency:4s,peak-memory:20GiB,images-per-s:1.5", flag="LIMITS", group="decide"),
    Option("case_timeout", "seconds", "seconds after which a case that has not ended ends its process; left out: never", group="decide"),
    Option("lease_seconds", "seconds", "seconds to wait for a GPU, or for the cores of a worker, that another benchmark uses", "86400", group="decide", marker=False),
    Option("sweet_spot", "share", "how much slower than the best the sweet spot may be", "5%", group="decide", marker=False),
    Option("objective", "choice", "what the recommended split is best at: throughput, cost, latency, memory, energy or first-image", "throughput", flag="AIM", group="decide", choices=("throughput", "cost", "latency", "memory", "energy", "first-image"), marker=False),
    Option("price", "price", "dollars an hour of the device: 2.49/h, or by device H100:2.49/h,L4:0.71/h", flag="PRICE", group="decide", marker=False),
    Option("start", "choice", "what splits of --sd-images start from: warm, or cold with loading and compiling", "warm", group="decide", choices=("warm", "cold"), marker=False),
    Option("max_cases", "count", "refuse a larger grid", "10000", group="decide", marker=False),
    Option("save", "text", "store the run under this name for later comparisons", flag="NAME", group="keep", marker=False),
    Option("save_anyway", "switch", "store a run that is no good baseline: failed, noisy or interrupted", "no", group="keep", marker=False),
    Option("report", "files", "write the run to these files, by suffix: .json the run file, .html a page to look at, .md, .csv", flag="FILE", group="keep", marker=False),
    Option("resume", "switch", "go on with the last run where it was interrupted; finished cases are kept", "no", flag="", group="keep", marker=False),
    Option("github", "switch", "in a job of GitHub Actions: write its summary, and annotate what went wrong", "yes", group="keep", marker=False),
    Option("shard", "shard", "measure one part of the grid: 2/4 is the second of four that end together, on four machines", group="keep", marker=False),
    Option("plan", "switch", "print the cases and run nothing", "no", flag="", group="keep", marker=False),
    Option("baselines", "place", "where stored runs lie: a folder, or the URL of a store that fsspec opens, as s3://BUCKET/FOLDER", "benchmarks/baselines", group="keep", marker=False),
)  # fmt: skip

# What is to become of a run. A process that hands its run in only measures: wherever they stand, they are for the one
# that started it.
OF_THE_WHOLE_RUN = ("baseline", "gate", "save", "report", "resume", "plan")

BY_SPELLING: Mapping[str, Option] = {spelling: row for row in TABLE for spelling in row.spellings}


@dataclass(frozen=True, slots=True)
class Setting:
    """The text of one option and where it came from. Text None: not given."""

    text: str | None
    origin: Origin
    spelled: str  # as the user wrote it, for messages: --sd-batch-sizes, sd_batch_sizes, sdbatch(batch_sizes=)


@dataclass(frozen=True, slots=True)
class Options:
    """The settings in force. The accessors parse; each raises OptionError for text it does not admit."""

    settings: Mapping[str, Setting]

    def origin(self, name: str) -> Origin:
        """Return where the option *name* was given."""
        return self.settings[name].origin

    def spelled(self, name: str) -> str:
        """Return the option as its user wrote it, for messages."""
        return self.settings[name].spelled

    def given(self, group: str | None = None) -> dict[str, str]:
        """Return the text of every option that was given, by name; of one *group* of the table only, if named."""
        return {
            row.name: text
            for row in TABLE
            if group in (None, row.group)
            and (text := self.settings[row.name].text) is not None
            and self.settings[row.name].origin > Origin.DEFAULT
        }

    def text(self, name: str) -> str | None:
        """Return the text of *name*, or None where it was left to the device or the model."""
        return self.settings[name].text

    def integers(self, name: str) -> tuple[int, ...]:
        """Return the values of an axis of whole numbers."""
        parse = axes.parse_sizes if BY_SPELLING[name].kind == "sizes" else axes.parse_integers
        return parse(self._text(name), option=self.spelled(name))

    @property
    def grows(self) -> bool:
        """Whether batch sizes end where memory is predicted to."""
        return axes.is_auto(self._text("batch_sizes"))

    def names(self, name: str) -> tuple[str, ...]:
        """Return the names of an axis."""
        return axes.parse_names(self._text(name), option=self.spelled(name))

    def resolutions(self, name: str) -> tuple[tuple[int, int], ...]:
        """Return (height, width) pairs, in pixels."""
        return axes.parse_resolutions(self._text(name), option=self.spelled(name))

    def count(self, name: str) -> int:
        """Return a whole number."""
        least = 0 if BY_SPELLING[name].kind == "count0" else 1
        return axes.parse_count(self._text(name), option=self.spelled(name), least=least)

    def number(self, name: str) -> float:
        """Return a number: seconds above 0, a share between 0 and 1, or any number of 0 and more."""
        text, option, kind = self._text(name), self.spelled(name), BY_SPELLING[name].kind
        if kind == "share":
            return axes.parse_share(text, option=option)
        return axes.parse_number(text, option=option, above=kind == "seconds")

    def choice(self, name: str) -> str:
        """Return one of the option's choices."""
        row = BY_SPELLING[name]
        return axes.parse_choice(self._text(name), option=self.spelled(name), choices=row.choices)

    def budget(self, name: str = "budget") -> Mapping[str, float]:
        """Return by how much each metric may grow, shares of 1; nothing where it was not given."""
        from pytest_sdbatch.grid import limits

        return {} if self.text(name) is None else limits.parse_budgets(self._text(name), option=self.spelled(name))

    def limit(self, name: str = "limit") -> Mapping[str, float]:
        """Return what each metric must keep, in seconds, bytes or images; nothing where it was not given."""
        from pytest_sdbatch.grid import limits

        return {} if self.text(name) is None else limits.parse_limits(self._text(name), option=self.spelled(name))

    def prices(self, name: str = "price") -> Mapping[str, float]:
        """Return dollars per second by a part of the device's name; nothing where no price was given."""
        from pytest_sdbatch.grid import prices

        return {} if self.text(name) is None else prices.parse_prices(self._text(name), option=self.spelled(name))

    def place(self, name: str = "baselines") -> str:
        """Return where stored runs lie: a folder, or the URL of a store."""
        text = self._text(name)
        if not is_url(text):  # a plain pytest looks at this too, and is spared the import
            return text
        from pytest_sdbatch.grid import urls

        return urls.parse_url(text, option=self.spelled(name))

    def shard(self, name: str = "shard") -> Shard:
        """Return which part of the grid is measured."""
        from pytest_sdbatch.grid import shards

        return shards.parse_shard(self._text(name), option=self.spelled(name))

    def switch(self, name: str) -> bool:
        """Return whether a yes/no option is on."""
        text = self._text(name).strip().lower()
        if text in ("yes", "true", "on", "1"):
            return True
        if text in ("no", "false", "off", "0"):
            return False
        raise OptionError(f"{self.spelled(name)}={text}: neither yes nor no", fix="give yes or no")

    def check(self) -> None:
        """Parse every option that has text.

        Raises:
            OptionError: for the first one that cannot be read.

        """
        readers = {
            "integers": self.integers, "sizes": self.integers, "names": self.names, "resolutions": self.resolutions,
            "count": self.count, "count0": self.count, "number": self.number, "seconds": self.number, "share": self.number,
            "choice": self.choice, "switch": self.switch, "text": self._text, "path": self._text, "files": self.names,
            "budget": self.budget, "limit": self.limit,
            "price": self.prices, "shard": self.shard, "place": self.place,
        }  # fmt: skip
        for row in TABLE:
            if self.settings[row.name].text is not None:
                readers[row.kind](row.name)

    def without(self, *names: str) -> Options:
        """Return these options with *names* at their defaults."""
        usual = {name: Setting(BY_SPELLING[name].default, Origin.DEFAULT, flag_of(BY_SPELLING[name])) for name in names}
        return Options({**self.settings, **usual})

    def with_marker(self, keywords: Mapping[str, object]) -> Options:
        """Return these options with those of a marker ``sdbatch(...)`` where nothing stronger was given.

        Args:
            keywords: of the marker, in either spelling; where both are given the later one wins.

        Raises:
            OptionError: for a keyword that no marker takes.

        """
        settings = dict(self.settings)
        for name, value in keywords.items():
            row = BY_SPELLING.get(name)
            if row is None or not row.marker:
                allowed = [r.name for r in TABLE if r.marker]
                near = did_you_mean(name, allowed) if row is None else ""
                raise OptionError(
                    f"@pytest.mark.sdbatch({name}=...) is no option",
                    why="it is a matter of the whole run" if row is not None else "",
                    fix=near or f"use one of {', '.join(allowed)}",
                )
            if settings[row.name].origin <= Origin.MARKER:
                spelled = f"sdbatch marker {name}"
                settings[row.name] = Setting(to_text(value, option=spelled), Origin.MARKER, spelled)
        return Options(settings)

    def _text(self, name: str) -> str:
        setting = self.settings[name]
        if setting.text is None:
            raise OptionError(f"{setting.spelled} has no value", fix="give one")
        if not setting.text.strip():
            raise OptionError(f"{setting.spelled} is empty", fix="give a value, or leave the option out")
        return setting.text


def resolve(
    *, command_line: Mapping[str, object], ini: Mapping[str, object], overrides: Mapping[str, object]
) -> Options:
    """Return the options in force for a run.

    Args:
        command_line: values of flags by canonical name; None for a flag that was not given.
        ini: values of the configuration file by key without ``sd_``, in either spelling.
        overrides: the same of ``-o sd_x=value``, which was typed and therefore counts as command line.

    """
    settings = {row.name: Setting(row.default, Origin.DEFAULT, flag_of(row)) for row in TABLE}
    for origin, prefix, values in ((Origin.INI, "", ini), (Origin.COMMAND_LINE, "-o ", overrides)):
        for key, value in values.items():
            row = BY_SPELLING[key]
            settings[row.name] = Setting(to_text(value, option=f"sd_{key}"), origin, f"{prefix}sd_{key}")
    for name, value in command_line.items():
        if value is not None:
            flag = flag_of(BY_SPELLING[name])
            settings[name] = Setting(to_text(value, option=flag), Origin.COMMAND_LINE, flag)
    return Options(settings)


def is_url(text: str) -> bool:
    """Return whether *text* is meant as the URL of a store, and not as a folder."""
    return "://" in text


def flag_of(row: Option) -> str:
    """Return how *row* is spelled on a command line: its flag, or the ini key that ``-o`` takes."""
    return f"--sd-{row.name.replace('_', '-')}" if row.flag is not None else f"sd_{row.name}"


def to_text(value: object, *, option: str) -> str:
    """Return the text of a value from an ini file or a marker: a str, int, float, bool, or a list or mapping of them.

    Raises:
        OptionError: for a list within a list: ``[(512, 768)]`` would read as two resolutions.

    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ",".join(f"{key}:{to_text(item, option=option)}" for key, item in value.items())
    if not isinstance(value, (list, tuple)):
        return str(value)
    if any(isinstance(item, (list, tuple)) for item in value):
        raise OptionError(f"{option}: {value!r} is a list in a list", fix="write its items as text: ['512x768']")
    return ",".join(to_text(item, option=option) for item in value)
