"""The paper's claims (its sections 4.1 to 4.4), each with the rule that decides on it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from analysis.configurations import OBJECTIVES, RECONSTRUCTION_ONLY, reconstruction_only
from analysis.evidence import Evidence
from analysis.figures.figure2 import spearman

NEAR_ZERO, NEAR_ZERO_SEEDS = (0.06, 0.03), 5  # margins: with fewer seeds than that, and with them
LOST = 0.02  # of overall accuracy, that counts as nothing lost
_MARGINS = ("delta_pitch", "delta_instrument")

# The numbers that a verdict rests on, how they read, and whether the claim holds for them.
Outcome = tuple[tuple[float, ...], str, bool]


@dataclass(frozen=True)
class Claim:
    """A sentence of the paper, its number or its word, our rule, and what judges it."""

    section: str
    claim: str
    paper: str
    rule: str
    judge: Callable[[Evidence], Outcome]


def chosen_margins(e: Evidence) -> Outcome:
    margins = tuple(e.one(e.chosen, margin) for margin in _MARGINS)
    return margins, f"{e.chosen}: {margins[0]:.2f}, {margins[1]:.2f}", min(margins) > 0


def chosen_accuracy(e: Evidence) -> Outcome:
    ours, bound = (e.one(name, "mean_overall") for name in (e.chosen, RECONSTRUCTION_ONLY))
    return (ours, bound), f"{ours:.3f} against {bound:.3f}", ours >= bound - LOST


def gain_over_cl(task: str) -> Callable[[Evidence], Outcome]:
    def judge(e: Evidence) -> Outcome:
        gain = e.one(e.chosen, f"{task}_overall") - e.one(f"cl-{task}", f"{task}_overall")
        return (gain,), f"{gain:+.2f}", gain > 0

    return judge


def reconstruction_margins(e: Evidence) -> Outcome:
    margins = tuple(e.one(RECONSTRUCTION_ONLY, margin) for margin in _MARGINS)
    bound = NEAR_ZERO[e.seeds >= NEAR_ZERO_SEEDS]
    return margins, f"{margins[0]:.2f}, {margins[1]:.2f}", max(map(abs, margins)) <= bound


def cl_below_encoder(e: Evidence) -> Outcome:
    gaps = tuple(
        e.one(f"cl-{task}", f"{task}_overall") - e.one("encoder", f"{task}_overall")
        for task in ("pitch", "instrument")
    )
    return gaps, f"{gaps[0]:+.2f}, {gaps[1]:+.2f}", max(gaps) < 0


def mse_correlation(task: str) -> Callable[[Evidence], Outcome]:
    def judge(e: Evidence) -> Outcome:
        points = pd.concat([e.every(*OBJECTIVES), reconstruction_only(e.table)]).dropna(
            subset=["mse"]
        )
        rho = spearman(points["mse"], points[f"{task}_overall"])
        bound = -1.645 / math.sqrt(max(len(points) - 1, 1))  # 5 %, one-sided, no correlation
        return (rho,), f"ρ = {rho:.2f} (n = {len(points)})", rho < bound

    return judge


def above_cl(task: str) -> Callable[[Evidence], Outcome]:
    def judge(e: Evidence) -> Outcome:
        both = e.every(*OBJECTIVES).query("lam > 0")
        baseline = e.one(f"cl-{task}", f"{task}_overall")
        above = int((both[f"{task}_overall"] > baseline).sum())
        share = above / len(both) if len(both) else math.nan
        return (share, baseline), f"{above} of {len(both)}", share >= 0.9

    return judge


def high_mse_low_lambda(e: Evidence) -> Outcome:
    both = e.every(*OBJECTIVES).query("lam > 0")
    worst = both[both["mse"] >= both["mse"].quantile(0.75)]
    mean, overall = float(worst["lam"].mean()), float(both["lam"].mean())
    return (mean, overall), f"mean λ {mean:.2f} against {overall:.2f}", mean < overall


def separation_beats_similarity(e: Evidence) -> Outcome:
    sep, sim = (e.share_with_both_margins(name) for name in ("SEP", "SIM"))
    return (sep, sim), f"{sep:.0%} of SEP against {sim:.0%} of SIM", sep > sim


def similarity_fails_on_instrument(e: Evidence) -> Outcome:
    margins = e.every("SIM")["delta_instrument"]
    positive = int((margins > 0).sum())
    mean = float(margins.mean())
    ours = f"{positive} of {len(margins)} positive, mean {mean:.2f}"
    return (mean,), ours, positive < len(margins) / 2


def accuracy_change(e: Evidence, objective: str) -> float:
    change = e.every(objective)["mean_overall"] - e.one(RECONSTRUCTION_ONLY, "mean_overall")
    return float(change.mean())


def similarity_loses_accuracy(e: Evidence) -> Outcome:
    sim, sep = (accuracy_change(e, name) for name in ("SIM", "SEP"))
    return (sim, sep), f"SIM {sim:+.3f}, SEP {sep:+.3f}", sim < sep and sim < 0


def both_nearly_always_positive(e: Evidence) -> Outcome:
    share = e.share_with_both_margins("SIM+SEP")
    return (share,), f"{share:.0%} of SIM+SEP", share >= 2 / 3


def objective_outweighs_principle(e: Evidence) -> Outcome:
    rows = e.every(*OBJECTIVES)
    objective, principle = (explained(rows, factor) for factor in ("objective", "principle"))
    ours = f"objective {objective:.0%}, principle {principle:.0%}"
    return (objective, principle), ours, objective > principle


def explained(rows: pd.DataFrame, factor: str) -> float:
    """η²: the share of the margins' variance between the levels of a factor, mean of the two."""
    if rows.empty:
        return math.nan
    margins = rows[list(_MARGINS)]
    between = rows.groupby(factor)[list(_MARGINS)].transform("mean")
    return float((between.var(ddof=0) / margins.var(ddof=0)).mean())


def top_margin_costs(e: Evidence) -> Outcome:
    rows = e.every(*OBJECTIVES)
    bound = e.one(RECONSTRUCTION_ONLY, "mean_overall")
    tops = [rows.nlargest(1, margin)["mean_overall"].mean() for margin in _MARGINS]
    changes = tuple(float(top) - bound for top in tops)
    return changes, f"{changes[0]:+.3f}, {changes[1]:+.3f}", max(changes) < 0


def bars_mostly_negative(e: Evidence) -> Outcome:
    bars = e.bars["delta"].dropna() if len(e.every(*OBJECTIVES)) else e.bars["delta"].iloc[:0]
    share = float((bars < 0).mean())
    return (share,), f"{share:.0%} of {len(bars)} bars", share >= 0.75


def other_subspace_unaffected(e: Evidence) -> Outcome:
    effects = {
        name: tuple(sum(abs(e.effect(name, panel)) for panel in side) / 2 for side in ("AC", "BD"))
        for name in ("SEP", "SIM")
    }
    (sep_private, sep_shared), (sim_private, sim_shared) = effects["SEP"], effects["SIM"]
    ours = (
        f"SEP {sep_private:.3f} in z_p, {sep_shared:.3f} in z_s; "
        f"SIM {sim_private:.3f} in z_p, {sim_shared:.3f} in z_s"
    )
    holds = sep_shared < sep_private / 2 and sim_private < sim_shared / 2
    return (*effects["SEP"], *effects["SIM"]), ours, holds


def largest_effect(objective: str, panel: str) -> Callable[[Evidence], Outcome]:
    def judge(e: Evidence) -> Outcome:
        effects = {name: e.effect(objective, name) for name in "ABCD"}
        ours = ", ".join(f"{name} {effect:+.3f}" for name, effect in effects.items())
        return tuple(effects.values()), ours, min(effects, key=effects.__getitem__) == panel

    return judge


CLAIMS = (
    Claim(
        "4.1", "The chosen configuration has positive margins on both tasks", "0.10, 0.17",
        "both > 0 on test", chosen_margins,
    ),
    Claim(
        "4.1", "It loses no overall accuracy against reconstruction only", "0.825 against 0.825",
        f"mean of the tasks ≥ reconstruction only − {LOST}", chosen_accuracy,
    ),
    Claim("4.1", "It beats CL-Pitch on pitch", "+0.06", "difference > 0", gain_over_cl("pitch")),
    Claim(
        "4.1", "It beats CL-Instrument on instrument", "+0.13", "difference > 0",
        gain_over_cl("instrument"),
    ),
    Claim(
        "4.1", "Reconstruction only is entangled: its margins are near zero", "0.00, 0.01",
        f"both within {NEAR_ZERO[0]} (within {NEAR_ZERO[1]} from {NEAR_ZERO_SEEDS} seeds)",
        reconstruction_margins,
    ),
    Claim(
        "4.1", "CL falls below the frozen encoder on the task of its own pairs", "−0.02, −0.10",
        "both differences < 0", cl_below_encoder,
    ),
    Claim(
        "4.2", "Lower MSE goes with higher pitch accuracy", "“generally correlated”",
        "ρ below chance at 5 %, one-sided", mse_correlation("pitch"),
    ),
    Claim(
        "4.2", "Lower MSE goes with higher instrument accuracy", "“generally correlated”",
        "ρ below chance at 5 %, one-sided", mse_correlation("instrument"),
    ),
    Claim(
        "4.2", "Configurations with both losses beat CL-Pitch on pitch", "“consistently”",
        "at least 90 % of 0 < λ < 1", above_cl("pitch"),
    ),
    Claim(
        "4.2", "Configurations with both losses beat CL-Instrument on instrument",
        "“consistently”", "at least 90 % of 0 < λ < 1", above_cl("instrument"),
    ),
    Claim(
        "4.2", "Points with higher MSE are mainly those with a low λ", "“primarily”",
        "mean λ of the quarter with the highest MSE below that of all", high_mse_low_lambda,
    ),
    Claim(
        "4.3", "Separation gives positive margins on both tasks more often than similarity",
        "“more effective”", "larger share", separation_beats_similarity,
    ),
    Claim(
        "4.3", "Similarity fails to give a positive margin on instrument", "“struggle”",
        "fewer than half positive", similarity_fails_on_instrument,
    ),
    Claim(
        "4.3", "Similarity loses overall accuracy where separation keeps it", "“sacrifice”",
        "mean change from reconstruction only: SIM < 0 and SIM < SEP", similarity_loses_accuracy,
    ),
    Claim(
        "4.3", "Both together almost always give positive margins on both tasks",
        "“almost universally”", "at least two thirds", both_nearly_always_positive,
    ),
    Claim(
        "4.3", "The objective matters more for the margins than the principle",
        "“much more influential”", "η² of objective > η² of principle",
        objective_outweighs_principle,
    ),
    Claim(
        "4.3", "The highest margins on either axis cost overall accuracy", "“compromised”",
        "below reconstruction only at the top of both axes", top_margin_costs,
    ),
    Claim(
        "4.4", "Any weight of L_dis lowers subspace accuracy", "“dominant trend”",
        "at least 75 % of Figure 4's bars < 0", bars_mostly_negative,
    ),
    Claim(
        "4.4", "The subspace that L_dis does not act on is hardly affected",
        "“relatively unaffected”", "mean size of Δ less than half of that in the other",
        other_subspace_unaffected,
    ),
    Claim(
        "4.4", "Separation lowers instrument accuracy from z_p most (A)", "A",
        "A is the lowest of the four panels", largest_effect("SEP", "A"),
    ),
    Claim(
        "4.4", "Similarity lowers pitch accuracy from z_s most (D)", "D",
        "D is the lowest of the four panels", largest_effect("SIM", "D"),
    ),
)  # fmt: skip
