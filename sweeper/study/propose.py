"""Optuna asked for the next points of a space, from what is known of others: a pure function."""

from __future__ import annotations

import itertools
import math
import random
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sweeper.study.axes import Point
from sweeper.study.ranges import Choices, Range
from sweeper.study.space import Space

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution

STARTUP = 8  # points at random before there is anything to learn from
ASKS = 2  # of Optuna, for each point that is to be found
DRAWS = 200  # at random, for each that Optuna did not find
_FEW = 10_000  # points of a space that are all looked at
_PLAIN = (str, int, float, bool, type(None))  # what Optuna stores; other values stand by their text

Known = Sequence[tuple[Point, Sequence[float]]]  # points, and their goals: more is better


def propose(
    space: Space,
    known: Known,
    count: int,
    key_of: Callable[[Point], str],
    held: Collection[str],
    seed: int,
) -> list[Point]:
    """At most `count` points with keys that are not held, fewer only when the space has no more.

    All are asked for at once: Optuna takes those without a value yet for bad ones, and looks
    elsewhere. The same arguments give the same points.
    """
    found: dict[str, Point] = {}

    def take(points: Iterator[Point]) -> None:
        for point in points:
            if len(found) == count:
                return
            if (key := key_of(point)) not in held:
                found.setdefault(key, point)

    study = learned(space, known, seed)
    asked = (study.ask(dict(distributions(space))).params for _ in range(ASKS * count))
    chance, every = random.Random(seed), _all(space)
    chance.shuffle(every)
    if not every or len({key_of(point) for point in every} - set(held)) > count:
        with _one_thread():
            take(_decoded(space, params) for params in asked)
    take(iter(every) if every else _drawn(space, chance, DRAWS * count))
    return list(found.values())


@contextmanager
def _one_thread() -> Iterator[None]:
    """Optuna's matrices are small: more threads of torch's take longer, and another order."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def learned(space: Space, known: Known, seed: int) -> optuna.Study:
    """An Optuna study in memory that has seen what is known.

    Gaussian processes: on the paper's grid as a table, 22 trials of theirs found twice the
    hypervolume of TPE's, and the same with every seed.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    goals = len(known[0][1]) if known else 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.GPSampler(seed=seed, n_startup_trials=STARTUP)
    study = optuna.create_study(directions=["maximize"] * goals, sampler=sampler)
    study.add_trials([trial_of(space, point, values) for point, values in known])
    return study


def trial_of(
    space: Space, point: Point, values: Sequence[float] | None, **told: Any
) -> optuna.trial.FrozenTrial:
    """A point as a finished trial, a failed one without values; `told` are its user attributes.

    Axes that play no part in it have the middle of their ranges: Optuna learns from whole points.
    """
    import optuna

    given, states = distributions(space), optuna.trial.TrialState
    params = {axis: _encoded(space, axis, point.get(axis, _middle(space, axis))) for axis in given}
    return optuna.trial.create_trial(
        params=params,
        distributions=dict(given),
        values=values,
        state=states.FAIL if values is None else states.COMPLETE,
        user_attrs=told,
    )


def distributions(space: Space) -> Mapping[str, BaseDistribution]:
    """Optuna's words for each axis of the space."""
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    def of_axis(axis: str, of: Any) -> BaseDistribution:
        if not isinstance(of, Range):
            return CategoricalDistribution([_encoded(space, axis, value) for value in of])
        if of.whole:
            return IntDistribution(int(of.low), int(of.high), of.log, int(of.step or 1))
        return FloatDistribution(of.low, of.high, of.log, of.step)

    return {axis: of_axis(axis, of) for axis, of in space.ranges.items()}


def _encoded(space: Space, axis: str, value: Any) -> Any:
    of = space.ranges[axis]
    if not isinstance(of, Range):
        return value if isinstance(value, _PLAIN) else str(value)
    if of.step is None:
        return value
    steps = round((value - of.low) / of.step)  # the nearest
    return of.rounded(of.low + steps * of.step)


def _decoded(space: Space, params: Mapping[str, Any]) -> Point:
    point = {}
    for axis, value in params.items():
        of = space.ranges[axis]
        if isinstance(of, Range):
            point[axis] = of.rounded(value)
        else:
            point[axis] = next(v for v in of if _encoded(space, axis, v) == value)
    return point


def _middle(space: Space, axis: str) -> Any:
    of = space.ranges[axis]
    if not isinstance(of, Range):
        return of[0]
    middle = (of.low * of.high) ** 0.5 if of.log else (of.low + of.high) / 2
    return of.rounded(middle)


def _all(space: Space) -> list[Point]:
    """Every point of a space in steps; none where they are many, or one of its axes has none."""
    steps = [list(itertools.islice(_steps(of), _FEW)) for of in space.ranges.values()]
    if math.prod(map(len, steps)) > _FEW:
        return []
    return [dict(zip(space.ranges, point, strict=True)) for point in itertools.product(*steps)]


def _steps(of: Any) -> Iterator[Any]:
    """Every value of a choice or of a range in steps; none of a continuous one."""
    if not isinstance(of, Range):
        yield from of
    elif step := of.step or of.whole:
        count = int((of.high - of.low) / step + 1e-9) + 1
        yield from (of.rounded(of.low + step * number) for number in range(count))


def _drawn(space: Space, chance: random.Random, draws: int) -> Iterator[Point]:
    """Points at random."""
    for _ in range(draws):
        yield {axis: _value(of, chance) for axis, of in space.ranges.items()}


def _value(of: Range | Choices, chance: random.Random) -> Any:
    if values := list(itertools.islice(_steps(of), _FEW)):
        return chance.choice(values)
    assert isinstance(of, Range)
    if of.log:
        return of.rounded(of.low * (of.high / of.low) ** chance.random())
    return of.rounded(chance.uniform(of.low, of.high))
