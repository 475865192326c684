"""What a user asks `launch` for."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models.spec import TrainingSpec
from sweeper import plugins as own_code
from sweeper.errors import SweeperError, redact
from sweeper.study.grid import Grid, grid_text, load_grid, override
from sweeper.study.grid_file import Misplaced
from sweeper.study.presets import Preset, preset

MOST_SEEDS = 1_000  # of a full grid: 57,000 cells, planned in seconds
LONGEST_NAME = 100


@dataclass(frozen=True)
class Request:
    """A launch's options that a resume needs again; stored with the sweep.

    Raises SweeperError when no seed is asked for, or more than a plan can be made of.
    """

    grid: str
    preset: str = "paper"
    seeds: int = 1
    dataset: str = "notes"
    encoder: str = "logmel"
    source: str | None = None  # a SoundFont for `notes`, else the directory of the dataset
    device: str = "auto"
    pack: int | None = None
    storage: str | None = None
    encoders: dict[str, str] = field(default_factory=dict)  # see data.latents.Source
    grid_file: str | None = None  # what it held: the sweep goes on though it be changed or gone
    plugins: dict[str, str] = field(default_factory=dict)  # name → source: see plugins.py
    baseline_seeds: int | None = None  # where baselines are to have more seeds than the grid
    precision: str | None = None  # of training.precision; None: as preset and grid say
    weights: bool = True  # whether those of finished runs are kept: storage/weights.py

    def __post_init__(self) -> None:
        _check_seeds("--seeds", self.seeds, 1)
        if self.baseline_seeds is not None:
            _check_seeds("--baseline-seeds", self.baseline_seeds, self.seeds)
        if self.storage is not None:  # the request is stored, and its key must not be
            object.__setattr__(self, "storage", redact(self.storage))

    def load_grid(self) -> Grid:
        """The grid that was asked for."""
        own_code.load(self.plugins)
        return load_grid(self.grid, self.grid_file)

    def study(self, grid: Grid) -> Preset:
        """The preset, with what the grid's sections and --precision set.

        Raises SweeperError where these contradict each other, or for a value that none can have.
        """
        study = override(preset(self.preset), grid)
        if self.precision is None:
            return study
        asked = grid.overrides.get("training", {}).get("precision")
        if asked not in (None, self.precision) or "training.precision" in grid.axes.values:
            raise SweeperError(
                f"--precision {self.precision}, but grid '{grid.name}' has training.precision "
                "too; leave one of them out"
            )
        training = dataclasses.replace(study.training, precision=self.precision)
        try:
            training.check()
        except ValueError as error:
            raise SweeperError(f"--precision: {error}") from None
        return dataclasses.replace(study, training=training)

    def sweep_name(self, asked: str | None) -> str:
        """The name asked for, or the default. Raises SweeperError for what is no name."""
        name = self.default_name if asked is None else asked
        if not name.strip():
            raise SweeperError("--name is empty; give the sweep a name, or leave it out")
        if len(name) > LONGEST_NAME:
            raise SweeperError(
                f"--name {name[:20]}… has {len(name)} characters; at most {LONGEST_NAME} are taken"
            )
        if "/" in name or not name.isprintable():
            raise SweeperError(
                f"--name {name}: a slash, a line end or a control character is no part of a name"
            )
        return name

    @classmethod
    def of(cls, sweep: str, options: Mapping[str, Any]) -> Request:
        """A sweep's request from its stored options. Raises SweeperError where they are none."""
        if not options:
            raise SweeperError(f"sweep '{sweep}' was never launched whole; launch it again")
        try:
            return cls(**options)
        except TypeError as error:
            reason = str(error).removeprefix("Request.__init__() ")
            raise SweeperError(
                f"the stored options of sweep '{sweep}' are damaged, or of a newer sweeper "
                f"({reason}); upgrade, or move the database away and run `sweeper recover`"
            ) from None

    @property
    def default_name(self) -> str:
        """Grid and preset, and data and precision where they are not the default."""
        default = ("notes", preset(self.preset).data.encoder)
        data = (self.dataset, self.encoder.partition(":")[0])
        other = [] if data == default else [*data]
        other += [] if self.precision in (None, TrainingSpec.precision) else [self.precision]
        return "-".join([Path(self.grid).stem, self.preset, *other])


def _check_seeds(option: str, seeds: int, least: int) -> None:
    if seeds < least:
        raise SweeperError(f"{option} {seeds}: at least {least} is needed")
    if seeds > MOST_SEEDS:
        raise SweeperError(f"{option} {seeds}: a sweep has at most {MOST_SEEDS}")


def requested(
    grid: str,
    preset: str,
    *,
    text: str | None = None,
    plugins: Iterable[str] = (),
    dataset: str | None = None,
    encoder: str | None = None,
    source: Callable[[str], str | None] = lambda dataset: None,
    **options: Any,
) -> Request:
    """A request in a user's words: its plugins are run, its grid is read, its data are chosen.

    `text` is what the grid's file holds, where there is none; `plugins` are files or modules;
    `source` says where the clips of the dataset come from; `options` are fields of a request.
    Raises SweeperError on bad input.
    """
    own_code.load(own_code.read(plugins))
    dataset, encoder = data_of(grid, preset, dataset, encoder, text)
    return Request(
        grid=grid,
        preset=preset,
        dataset=dataset,
        encoder=encoder,
        source=source(dataset),
        grid_file=grid_text(grid) if text is None else text,
        plugins=own_code.loaded(),
        **options,
    )


def data_of(
    grid: str, preset_name: str, dataset: str | None, encoder: str | None, text: str | None = None
) -> tuple[str, str]:
    """Dataset and encoder: as the options say, else the grid's [data], else the preset.

    `text` is what the grid's file holds, where there is none. Raises SweeperError when an option
    and the grid contradict each other.
    """
    loaded = load_grid(grid, text)
    asked = loaded.overrides.get("data", {})
    for name, option in (("dataset", dataset), ("encoder", encoder)):
        if not isinstance(value := asked.get(name, name), str):
            wrong = f"data.{name} = {value!r}: a name is expected"
            raise loaded.error(Misplaced(wrong, f"data.{name}", values=(value,)))
        if option is not None and asked.get(name) not in (None, option):
            raise SweeperError(
                f'--{name} {option}, but [data] in {grid} says {name} = "{asked[name]}"; '
                "leave one of them out"
            )
    return (
        dataset or asked.get("dataset", "notes"),
        encoder or asked.get("encoder") or preset(preset_name).data.encoder,
    )
