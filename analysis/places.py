"""A cell's place on the axes of its grid beside principle, objective and λ."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

Place = dict[str, Any]  # axis (`loss.temperature`) → value


def places_of(frame: pd.DataFrame) -> list[Place]:
    """Each cell's place on the axes beside principle, objective and λ, in the order of the rows."""
    if "point" not in frame:  # of an older database
        return [{} for _ in range(len(frame))]
    points = (json.loads(point or "{}") for point in frame["point"])
    return [{axis: value for axis, value in point.items() if "." in axis} for point in points]


def whole_places(places: list[Place]) -> Iterator[Place]:
    """The combinations of values that cells with the most axes have; none without axes."""
    distinct: dict[str, Place] = {json.dumps(p, sort_keys=True): p for p in places}
    values: dict[str, dict[str, Any]] = {}
    for place in distinct.values():
        for axis, value in place.items():
            values.setdefault(axis, {})[json.dumps(value)] = value
    most = max((len(place) for place in distinct.values()), default=0)
    if not most:
        return
    whole = [place for place in distinct.values() if len(place) == most]
    if most == len(values):  # each is a combination: of a search's there would be too many
        ranks = {axis: list(of_axis) for axis, of_axis in values.items()}
        yield from sorted(
            ({axis: place[axis] for axis in values} for place in whole),
            key=lambda place: [ranks[axis].index(json.dumps(place[axis])) for axis in values],
        )
        return
    for chosen in itertools.product(*(of_axis.values() for of_axis in values.values())):
        combination = dict(zip(values, chosen, strict=True))
        if any(fits(place, combination) for place in whole):
            yield combination


def fits(place: Mapping[str, Any], whole: Mapping[str, Any]) -> bool:
    """Whether a cell stands in a facet: it has the facet's value on every axis that it is on."""
    return all(whole[axis] == value for axis, value in place.items())


def name_of_place(place: Mapping[str, Any]) -> str:
    """`temperature=0.1 lr=0.001`, as labels have it."""
    return " ".join(f"{short(axis, place)}={shown(value)}" for axis, value in place.items())


def short(axis: str, axes: Iterable[str]) -> str:
    """`temperature` of `loss.temperature`, where no other axis has that name."""
    name = axis.rpartition(".")[2]
    return axis if [other.rpartition(".")[2] for other in axes].count(name) > 1 else name


def shown(value: Any) -> str:
    """A value as labels have it."""
    if isinstance(value, tuple | list):
        return ",".join(map(shown, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
