"""What one pytest run holds: options, the device, the grid of each test, and the session that measures.

Made when pytest is configured and cheap until the first benchmark is collected: only then is torch imported.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_sdbatch.bridges.progress import Progress
from pytest_sdbatch.errors import OptionError, SdbatchError
from pytest_sdbatch.options import OF_THE_WHOLE_RUN, Options, Origin, is_url

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_sdbatch.bridges.faults import Watch
    from pytest_sdbatch.bridges.gate import Gate
    from pytest_sdbatch.bridges.live import Live
    from pytest_sdbatch.devices.device import Device
    from pytest_sdbatch.devices.lease import Lease
    from pytest_sdbatch.grid.case import Case, PoolKey
    from pytest_sdbatch.grid.plan import Defaults
    from pytest_sdbatch.pipelines.catalog import ModelCatalog
    from pytest_sdbatch.records import Record
    from pytest_sdbatch.session import BenchSession
    from pytest_sdbatch.storage.baselines import Baselines
    from pytest_sdbatch.storage.journal import Entry, Journal, Stored
    from pytest_sdbatch.training.examples import Source
    from pytest_sdbatch.training.images import ImageFolder
    from pytest_sdbatch.training.together import Together

_TRAINING_SUITE = "pytest_sdbatch.suite_training"
HAND_IN: pytest.StashKey[Path] = pytest.StashKey()
HANDS_IN = "sdbatch_hands_in"  # key of xdist's workerinput: whether its controller does
JOURNALS: pytest.StashKey[Path] = pytest.StashKey()  # where the journal lies of one whose project is not kept


class Host:
    """The state of one pytest run."""

    def __init__(self, config: pytest.Config, options: Options) -> None:
        self.config = config
        self.hand_in = config.stash.get(HAND_IN, None)  # where one of several processes writes its run instead
        hands_in = self.hand_in is not None or getattr(config, "workerinput", {}).get(HANDS_IN, False)
        self.options = options.without(*OF_THE_WHOLE_RUN) if hands_in else _of_process(options)
        self._folders: dict[Path, ImageFolder] = {}  # of images to train on, each looked at once
        self.error: SdbatchError | None = None  # the first one of collection, raised when collection is over
        self.cases: dict[tuple[str, tuple[object, ...]], Case] = {}
        self.grid: list[Case] = []  # one per benchmark that will be measured, in the order of running
        self.tests: list[str] = []  # of each of these the test, as run files name it, where its item is at hand
        self.loads: Counter[PoolKey] = Counter()  # tests still to come, by pool key
        self.progress = Progress()
        self.guarded = False  # whether a benchmark shall fail where other processes use the device
        self.hints: list[str] = []  # shown with the header
        self.notes: list[str] = []  # shown under the table
        self.workers = 1  # of xdist, where this process is their controller
        self.lease: Lease | None = None  # of the device or the cores that this process times on
        self.no_lease: SdbatchError | None = None  # why it was not to be had
        self.present: Lease | None = None  # by which others see that this process times on cores
        self.beside: set[int] = set()  # processes of other benchmarks that were seen there
        self.unseen = False  # whether these cannot be seen
        self.lost_gpus: set[str] = set()
        self.gate: Gate | None = None  # what this run is held to
        self.refused = False  # whether there is nothing to hold it to, so that nothing runs
        self.shard_is_empty = False  # whether other shards measure all there is
        self.deselected: set[str] = set()  # benchmarks, by the names that run files have
        self.last_words: dict[str, dict[str, Any]] = {}  # of workers that ended themselves, by node id
        self.settled: set[str] = set()  # benchmarks that have their record, by node id
        self.watch: Watch | None = None  # of the benchmark that runs, where it has a time limit
        self.announced = False  # whether that controller has printed its header
        self.live: Live | None = None
        self.journal: Journal | None = None
        self.resumed: Stored | None = None  # the interrupted run that this one goes on with
        self.over_reports: Sequence[Path] = ()  # of the files of --sd-report, what the interrupted run left
        self.test_lines: dict[tuple[str, str], int] = {}  # on which tests begin, from 1, by test and case id
        self.test_failures: dict[tuple[str, str], str] = {}  # what was raised in them, in its words
        self.kept: Mapping[tuple[str, str], Entry] = {}  # what was taken over from it, by test and case id

    @cached_property
    def device(self) -> Device:
        """The device of this run."""
        from pytest_sdbatch.devices.detect import check_complete, device_of_process, open_device

        name = self.options.text("device") or "auto"
        if self.together.count > 1:
            name = device_of_process(name, self.together.local_rank)
        try:
            made: Device | None = self.config.hook.pytest_sdbatch_make_device(name=name)
            if made is not None:
                check_complete(made)
        except SdbatchError:
            raise
        except Exception as error:
            raise _broken("pytest_sdbatch_make_device", error) from error
        return made if made is not None else open_device(name)

    @cached_property
    def defaults(self) -> Defaults:
        """What is used where an option was not given."""
        from pytest_sdbatch.devices.detect import defaults_for

        return defaults_for(self.device)

    @cached_property
    def catalog(self) -> ModelCatalog:
        """Models and variants by name: those that ship, and those the project adds."""
        return catalog_of(self.config)

    @cached_property
    def session(self) -> BenchSession:
        """What measures and keeps."""
        from pytest_sdbatch.session import BenchSession

        return BenchSession(options=self.options, device=self.device, catalog=self.catalog, parallel=self.parallel)

    @property
    def has_device(self) -> bool:
        """Whether a device was opened, which nobody should do only to ask how it is."""
        return "device" in vars(self)

    @property
    def records(self) -> tuple[Record, ...]:
        """What was kept. A run without benchmarks has none, and must not open a device to know it."""
        return self.session.records if "session" in vars(self) else ()

    @cached_property
    def is_asked(self) -> bool:
        """Whether the command line, or another process, asks for something of the plugin."""
        return self.hand_in is not None or any(
            setting.origin is Origin.COMMAND_LINE for setting in self.options.settings.values()
        )

    @property
    def is_idle(self) -> bool:
        """Whether this run, as far as is known yet, has nothing to do with the plugin: nobody asks, no benchmark."""
        return not (self.cases or self.grid or self.is_asked or self.error is not None)

    @property
    def parallel(self) -> int:
        """How many workers share this machine."""
        workers: Mapping[str, object] = getattr(self.config, "workerinput", {})
        return int(str(workers.get("workercount", self.workers)))

    @property
    def is_controller(self) -> bool:
        """Whether this process only hands tests to workers and takes their reports."""
        return self.config.pluginmanager.hasplugin("dsession")

    @property
    def is_worker(self) -> bool:
        """Whether this process is one of several workers of another pytest."""
        return hasattr(self.config, "workerinput")

    @property
    def is_gated(self) -> bool:
        """Whether this run is held to something, or was asked to be and found no benchmark."""
        return not self.refused and (self.gate is not None or self.options.origin("gate") is Origin.COMMAND_LINE)

    @property
    def only_check(self) -> bool:
        """Whether benchmarks run once each and nothing is recorded (``--benchmark-disable``)."""
        from pytest_sdbatch.bridges import pytest_benchmark

        return pytest_benchmark.is_disabled(self.config)

    def check(self) -> None:
        """Refuse what was typed and cannot be, before collection.

        What only stands in a file is not looked at: a plain ``pytest`` that measures nothing must not fail over it.
        The device waits for collection too: a conftest may still make it, and torch is not imported for a mistake.

        Raises:
            SdbatchError: the first problem.
        """
        if self.is_worker or not self.is_asked:
            return
        from pytest_sdbatch.bridges import refusals, sharding
        from pytest_sdbatch.grid.plan import Defaults, plan
        from pytest_sdbatch.measure.stopping import Rules
        from pytest_sdbatch.storage.names import check_name

        anywhere = Defaults(device="cpu", model="tiny-sd", dtype="fp32", height=64, width=64, steps=1)
        # Without a model the resolutions are for tests with pipelines of their own, too.
        with_model = self.options.origin("models") is Origin.COMMAND_LINE
        if _TRAINING_SUITE not in map(str, self.config.invocation_params.args):  # which has another grid
            plan(self.options, self.catalog, anywhere, with_model=with_model)
        Rules.from_options(self.options)
        self.prompts(self.options)
        self._check_reports()
        if self.options.text("save") is not None:
            check_name(self.options.text("save") or "")
        sharding.check(self)
        refusals.check(self)

    def cases_of(self, options: Options, *, with_model: bool) -> Sequence[Case]:
        """Return the cases of a test with these options; one, the smallest, under ``--benchmark-disable``."""
        from pytest_sdbatch.grid.plan import plan, smallest

        cases = plan(options, self.catalog, self.defaults, with_model=with_model)
        return (smallest(cases),) if self.only_check else cases

    @property
    def report_paths(self) -> tuple[Path, ...]:
        """Where ``--sd-report`` writes: run files and what is made of them."""
        if self.options.text("report") is None:
            return ()
        return tuple(self.path_of("report", text) for text in self.options.names("report"))

    def _check_reports(self) -> None:
        """Refuse files of ``--sd-report`` that cannot be written; under ``--sd-resume`` most of that comes later."""
        from pytest_sdbatch.storage.report_file import check_reports, kind_of

        spelled = self.options.spelled("report")
        if self.options.switch("resume"):
            for path in self.report_paths:
                kind_of(path, option=spelled)
        else:
            check_reports(self.report_paths, option=spelled)

    @cached_property
    def baselines(self) -> Baselines:
        """Where baselines lie: a folder, or a store, which is opened here."""
        place, spelled = self.options.place(), self.options.spelled("baselines")
        if is_url(place):
            from pytest_sdbatch.storage.store import open_store

            return open_store(place, option=spelled)
        from pytest_sdbatch.storage.baselines import BaselineFolder

        return BaselineFolder(path=self.path_of("baselines", place))

    def baseline_key(self, name: str) -> str:
        """Return the key of the baseline *name* of this device."""
        from pytest_sdbatch.storage.names import baseline_key

        return baseline_key(name, self.session.environment)

    @property
    def saves_as(self) -> str | None:
        """The key of the baseline that ``--sd-save`` asks for: one per name and device."""
        name = self.options.text("save")
        return None if name is None or self.workers > 1 else self.baseline_key(name)

    def prompts(self, options: Options) -> tuple[str, ...]:
        """Return the prompts of a test: a file's lines, or the built-in ones."""
        from pytest_sdbatch.pipelines.generation import DEFAULT_PROMPTS, read_prompts

        text = options.text("prompts")
        return DEFAULT_PROMPTS if text is None else read_prompts(self.path_of("prompts", text))

    @cached_property
    def together(self) -> Together:
        """The place of this process among those that train together."""
        from pytest_sdbatch.training.together import together

        return together()

    def examples(self, options: Options) -> Source:
        """Return what a test trains on: a folder that was looked at whole, or made-up images."""
        from pytest_sdbatch.training.examples import source_of
        from pytest_sdbatch.training.images import look_at

        text, folder = options.text("train_data"), None
        if text is not None:
            if not text.strip():
                raise OptionError(f"{options.spelled('train_data')} is empty", fix="name a folder, or leave it out")
            if options.text("images") is not None and options.origin("images") >= options.origin("train_data"):
                raise OptionError(
                    f"{options.spelled('images')} and {options.spelled('train_data')} do not go together",
                    why="the folder says how many images there are",
                    fix="leave one of them out",
                )
            path = self.path_of("train_data", text)
            if path not in self._folders:
                self._folders[path] = look_at(path, spelled=options.spelled("train_data"))
            folder = self._folders[path]
        images = None if options.text("images") is None else options.count("images")
        return source_of(folder, self.prompts(options), images=images, repeats=options.count("train_repeats"))

    def expect(self, cases: Sequence[tuple[Case, bool]]) -> None:
        """Take note of what will run, in order: each with its case, and whether it is measured."""
        self.grid = [case for case, measured in cases if measured]
        self.loads = Counter(case.pool_key for case, _ in cases)

    def done_with(self, case: Case) -> None:
        """Free a pipeline when no benchmark to come needs it."""
        self.loads[case.pool_key] -= 1
        if self.loads[case.pool_key] <= 0:
            self.session.pool.release(case.pool_key)

    def free(self) -> None:
        """Free every pipeline that is loaded."""
        if "session" in vars(self):
            self.session.pool.clear()

    def check_targets(self) -> None:
        """Refuse run files and a baseline that cannot be written, before anything is measured.

        Raises:
            RunFileError: for the first of them.
        """
        self._check_reports()
        if (key := self.saves_as) is not None:
            idle = self.only_check or self.options.switch("plan") or bool(self.config.option.collectonly)
            if not (idle and is_url(self.options.place())):  # in a store only writing shows, which needs leave
                self.baselines.check_new(key)

    def path_of(self, name: str, text: str) -> Path:
        """Return a path option: typed ones start where pytest was called, others at the root of the project."""
        if text.endswith(("/", "\\")) and name == "report":
            raise OptionError(f"{self.options.spelled(name)}={text}: a folder", fix="name a file, such as run.json")
        typed = self.options.origin(name) is Origin.COMMAND_LINE
        base = self.config.invocation_params.dir if typed else self.config.rootpath
        return Path(base, Path(text).expanduser())


def _of_process(options: Options) -> Options:
    """Return *options*, of a process that follows another one without what that one alone does: writing and judging."""
    import os

    if os.environ.get("RANK", "0") != "0" and os.environ.get("WORLD_SIZE", "1") != "1":
        return options.without(*(name for name in OF_THE_WHOLE_RUN if name != "plan"))
    return options


def host_of(config: pytest.Config) -> Host:
    """Return the host of this pytest run."""
    from pytest_sdbatch.plugin import HOST

    return config.stash[HOST]


def catalog_of(config: pytest.Config) -> ModelCatalog:
    """Return the models and variants that ship, and those that the plugins and conftests known to *config* add.

    Raises:
        SdbatchError: for a hook that fails, or adds what cannot be used.
    """
    from pytest_sdbatch.pipelines.architectures import ARCHITECTURES
    from pytest_sdbatch.pipelines.catalog import Model, ModelCatalog, checked
    from pytest_sdbatch.pipelines.variants import VARIANTS, Variant

    return ModelCatalog(
        models=checked(_added(config, "pytest_sdbatch_models"), Model, taken=ARCHITECTURES),
        variants=checked(_added(config, "pytest_sdbatch_variants"), Variant, taken=VARIANTS),
    )


def _added(config: pytest.Config, hook: str) -> list[tuple[str, object]]:
    """Return what each plugin and conftest adds by *hook*, with its name: a conftest's is its path."""
    manager = config.pluginmanager
    caller = getattr(manager.hook, hook, None)  # None: `sdbatch models` where pytest was told to load no plugins
    plugins = [implementation.plugin for implementation in caller.get_hookimpls()] if caller else []
    found: list[tuple[str, object]] = []
    for plugin in plugins:
        others = [other for other in plugins if other is not plugin]
        try:
            given = manager.subset_hook_caller(hook, others)(config=config)
            given = [list(items) if isinstance(items, Iterator) else items for items in given]  # its errors are here
        except SdbatchError:
            raise
        except Exception as error:
            raise _broken(hook, error) from error
        name = manager.get_name(plugin) or type(plugin).__name__
        found += [(_shown(name, config), items) for items in given]
    return found


def _broken(hook: str, error: Exception) -> SdbatchError:
    from pytest_sdbatch.pipelines.catalog import told

    return SdbatchError(f"the hook {hook} failed", why=told(error), fix="mend it where it is written, or remove it")


def _shown(plugin: str, config: pytest.Config) -> str:
    """Return a plugin's name, or a conftest's path as seen from where pytest was called."""
    path = Path(plugin)
    base = config.invocation_params.dir
    return path.relative_to(base).as_posix() if path.is_relative_to(base) else plugin
