"""The statistics that claims are about, each inside a seed: named parts of [seed, sample]."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from analysis.anova import shares
from analysis.configurations import OBJECTIVES
from analysis.configurations import RECONSTRUCTION_ONLY as REC
from analysis.effects import PANELS, spearman
from analysis.measured import Measured, Places
from analysis.results import MARGINS, TASKS
from analysis.selection import PAPER_SELECTION as PAPER
from analysis.thresholds import NO_LOSS, SEVERAL, TOP
from analysis.trainings import Array

Parts = dict[str, Array]  # by name; "" where there is one
Statistic = Callable[[Measured], Parts]

LOW_LAMBDA = 0.5  # below which most of the loss is L_dis
_SHORT = {"delta_pitch": "Δ pitch", "delta_instrument": "Δ instrument"}


def paper_choice(m: Measured) -> Places:
    return m.places(PAPER)


def cross_chosen(m: Measured) -> Places:
    return m.chosen()


def margins(m: Measured, of: Callable[[Measured], Places]) -> Parts:
    return {_SHORT[margin]: m.at(margin, of(m))[..., 0] for margin in MARGINS}


def margin_gains(m: Measured) -> Parts:
    return {_SHORT[margin]: m.change(margin, paper_choice(m))[..., 0] for margin in MARGINS}


def accuracy_change(m: Measured, of: Callable[[Measured], Places]) -> Parts:
    """Mean over these points of the change of mean overall accuracy from reconstruction only."""
    return {"": m.change("mean_overall", of(m)).mean(-1)}


def reconstruction_margins(m: Measured) -> Parts:
    return margins(m, lambda m: m.places(REC))


def gain_over_cl(m: Measured, task: str) -> Parts:
    measure = f"{task}_overall"
    return {"": m.one(measure, PAPER) - m.one(measure, f"cl-{task}")}


def cl_below_encoder(m: Measured) -> Parts:
    overall = {task: f"{task}_overall" for task in TASKS}
    return {t: m.one(o, f"cl-{t}") - m.one(o, "encoder") for t, o in overall.items()}


def above_encoder(m: Measured) -> Parts:
    overall = {task: f"{task}_overall" for task in TASKS}
    return {t: m.one(o, PAPER) - m.one(o, "encoder") for t, o in overall.items()}


def better_than_paper(m: Measured) -> Parts:
    return {"": m.at("worse_margin", m.chosen())[..., 0] - m.one("worse_margin", PAPER)}


def mse_correlation(m: Measured, task: str) -> Parts:
    points = np.append(m.where(), m.places(REC))
    return {"": _with_mse(m, f"{task}_overall", points)}


def _with_mse(m: Measured, measure: str, points: Places) -> Array:
    accuracy = m.at(measure, points)
    return spearman(np.broadcast_to(m.mse[:, None, points], accuracy.shape), accuracy)


def mse_correlation_of_paths(m: Measured) -> Parts:
    """Along λ, reconstruction only at its end: means over each principle's and objective's paths.

    A path is of one principle and objective, and has few points: its own ρ tells little.
    """
    paths = {}
    for principle, objective in dict.fromkeys(_kinds(m)):
        points = m.where(objective=objective, principle=principle)
        path = np.append(points, m.places(REC))
        paths[principle, objective] = _with_mse(m, "mean_overall", path)
    names = dict.fromkeys(name for axis in zip(*paths, strict=True) for name in axis)
    return {
        name: np.mean([rho for kind, rho in paths.items() if name in kind], axis=0)
        for name in names
    }


def _kinds(m: Measured) -> list[tuple[str, str]]:
    rows = m.points.iloc[m.where()]
    return list(zip(rows["principle"], rows["objective"], strict=True))


def lambdas(m: Measured) -> list[float]:
    return sorted(set(m.points["lam"].iloc[m.where()]))


def share_above_cl(m: Measured, task: str) -> Parts:
    measure = f"{task}_overall"
    above = m.at(measure, m.where()) > m.one(measure, f"cl-{task}")[..., None]
    return {"": above.mean(-1)}


def low_lambda_among_poor(m: Measured) -> Parts:
    """Of the points in the worse half by MSE and by accuracy: the share with a low λ."""
    points = m.where()
    accuracy = m.at("mean_overall", points)
    mse = np.broadcast_to(m.mse[:, None, points], accuracy.shape)
    high = mse >= np.median(mse, axis=-1, keepdims=True)
    poor = high & (accuracy <= np.median(accuracy, axis=-1, keepdims=True))
    low = m.points["lam"].to_numpy()[points] < LOW_LAMBDA
    count = poor.sum(-1)
    return {"": np.where(count > 0, (poor & low).sum(-1) / np.maximum(count, 1), np.nan)}


def with_reconstruction(m: Measured) -> Parts:
    overall = m.at("mean_overall", m.where()).mean(-1)
    return {"": overall - m.at("mean_overall", m.where(lam=0)).mean(-1)}


def share_of_both(m: Measured, objective: str) -> Array:
    """Share of an objective's configurations whose margins are both positive."""
    return np.asarray((m.at("worse_margin", m.where(objective)) > 0).mean(-1))


def separation_beats_similarity(m: Measured) -> Parts:
    return {"": share_of_both(m, "SEP") - share_of_both(m, "SIM")}


def both_positive(m: Measured) -> Parts:
    return {"": share_of_both(m, "SIM+SEP")}


def similarity_positive(m: Measured) -> Parts:
    return {"": (m.at("delta_instrument", m.where("SIM")) > 0).mean(-1)}


def similarity_margin(m: Measured) -> Parts:
    return {"": m.at("delta_instrument", m.where("SIM")).mean(-1)}


def several_without_loss(m: Measured) -> Parts:
    """The best few, chosen on the other seeds: margins, and accuracy above the tolerated loss."""
    places = m.chosen(int(SEVERAL.value))
    parts: Parts = {}
    for rank in range(places.shape[1]):
        few = places[:, [rank]]
        for margin in MARGINS:
            parts[f"no. {rank + 1}, {_SHORT[margin]}"] = m.at(margin, few)[..., 0]
        kept = m.change("mean_overall", few)[..., 0] + NO_LOSS.value
        parts[f"no. {rank + 1}, accuracy above the tolerance"] = kept
    return parts


def _explained(m: Measured) -> dict[tuple[str, ...], Array]:
    """η² of the margins, mean of the two."""
    grid = m.grid(m.where(), "principle", "objective", "lam")
    of_margins = [
        shares(m.at(margin, grid.ravel()).reshape(*m.accuracy.shape[:2], *grid.shape))
        for margin in MARGINS
    ]
    return {effect: np.mean([s[effect] for s in of_margins], axis=0) for effect in of_margins[0]}


def objective_over_principle(m: Measured, times: float) -> Parts:
    explained = _explained(m)
    return {"": explained["objective",] - times * explained["principle",]}


def principle_inconsistent(m: Measured) -> Parts:
    """η² per degree of freedom of principle × objective, less that of the principle alone."""
    explained = _explained(m)
    kinds = _kinds(m)
    principles, objectives = (len(set(names)) for names in zip(*kinds, strict=True))
    alone = explained["principle",] / (principles - 1)
    both = explained["principle", "objective"] / ((principles - 1) * (objectives - 1))
    return {"": both - alone}


def top_margins_cost(m: Measured) -> Parts:
    return {
        f"highest {_SHORT[margin]}": accuracy_change(m, _largest(margin))[""] for margin in MARGINS
    }


def _largest(margin: str) -> Callable[[Measured], Places]:
    return lambda m: m.largest(margin, int(TOP.value))


def subspace_changes(m: Measured) -> Array:
    """[seed, sample, point and score]: changes of the four subspace accuracies."""
    scores = [f"{task}_{subspace}" for task, subspace in PANELS.values()]
    return np.concatenate([m.change(score, m.where()) for score in scores], axis=-1)


def share_of_decreases(m: Measured) -> Parts:
    return {"": (subspace_changes(m) < 0).mean(-1)}


def mean_subspace_change(m: Measured) -> Parts:
    return {"": subspace_changes(m).mean(-1)}


def panel(m: Measured, objective: str, name: str, lam: float | None = None) -> Array:
    """A panel of Figure 4: mean change of an objective's configurations, λ = 0 left out."""
    task, subspace = PANELS[name]
    return np.asarray(m.change(f"{task}_{subspace}", m.where(objective, lam)).mean(-1))


def other_subspace(m: Measured) -> Parts:
    others = (("SEP", "B"), ("SEP", "D"), ("SIM", "A"), ("SIM", "C"))
    return {f"{objective} {name}": panel(m, objective, name) for objective, name in others}


def lowest_panel(m: Measured, objective: str, name: str) -> Parts:
    lowest = panel(m, objective, name)
    return {f"{name} − {x}": lowest - panel(m, objective, x) for x in PANELS if x != name}


def lowest_panel_each_weight(m: Measured, objective: str, name: str) -> Parts:
    return {
        f"{name} − {x} at λ={lam:g}": panel(m, objective, name, lam) - panel(m, objective, x, lam)
        for lam in lambdas(m)
        for x in PANELS
        if x != name
    }


def slope_on_weight(m: Measured) -> Parts:
    """Change of subspace accuracy for a weight 1 − λ of L_dis from 0 to 1, by least squares."""
    levels = lambdas(m)
    heights = [
        np.mean([panel(m, o, name, lam) for o in OBJECTIVES for name in PANELS], axis=0)
        for lam in levels
    ]
    weights = np.array([*(1 - lam for lam in levels), 0.0])
    centred = weights - weights.mean()
    changes = np.stack([*heights, np.zeros_like(heights[0])], axis=-1)
    return {"": (changes * centred).sum(-1) / (centred**2).sum()}
