"""The paper's claims (its sections 4.1 to 4.4), each with the rule that decides on it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pandas as pd

from analysis.configurations import OBJECTIVES, RECONSTRUCTION_ONLY, configurations, multiview
from analysis.effects import MEAN, PANELS, eta_squared, spearman, subspace_effects
from analysis.results import MARGINS, TASKS
from analysis.selection import select

NEAR_ZERO, NEAR_ZERO_SEEDS = (0.06, 0.03), 5  # margins: with fewer seeds than that, and with them
LOST = 0.02  # of overall accuracy, that counts as nothing lost
_COVERED = 2 / 3  # of an objective's planned configurations must be finished to judge it
_FEWEST = 3

# The numbers that a verdict rests on, how they read, and whether the claim holds for them.
Outcome = tuple[tuple[float, ...], str, bool]


@dataclass(frozen=True)
class SweepMeans:
    """Means over seeds, and how much of the plan they cover. What is not there is NaN."""

    table: pd.DataFrame  # of `configurations`
    bars: pd.DataFrame  # of `subspace_effects`, principles averaged
    planned: pd.Series[int]  # configurations with λ < 1, by objective

    @classmethod
    def of(cls, frame: pd.DataFrame) -> SweepMeans:
        """Takes the rows of the `results` view."""
        cells = multiview(frame).drop_duplicates(["principle", "objective", "lam"])
        effects = subspace_effects(frame)
        bars = effects[effects["principle"] == MEAN]
        return cls(configurations(frame), bars, cells["objective"].value_counts())

    @property
    def selected(self) -> str:
        """Name of the configuration that Table 1 shows; empty when too few are there to select."""
        selection = None if self.every(*OBJECTIVES).empty else select(self.table)
        return selection.name if selection else ""

    @property
    def both_losses(self) -> pd.DataFrame:
        """Configurations with 0 < λ < 1; no row when too few of the planned are there."""
        return self.every(*OBJECTIVES).query("lam > 0")

    def one(self, name: str, measure: str) -> float:
        """A measure of the configuration or baseline of that name."""
        return float(self.table.loc[self.table["name"] == name, measure].mean())

    def every(self, *objectives: str) -> pd.DataFrame:
        """Configurations with these objectives; no row when too few of the planned are there."""
        rows = multiview(self.table)
        rows = rows[rows["objective"].isin(objectives)]
        planned = self.planned.reindex(objectives).sum()
        return rows if len(rows) >= max(_FEWEST, _COVERED * planned) else rows.iloc[:0]

    def share_with_both_margins(self, objective: str) -> float:
        """Share of an objective's configurations whose margins are both positive."""
        rows = self.every(objective)
        positive = rows[list(MARGINS)].min(axis=1) > 0
        return float(positive.mean()) if len(rows) else math.nan

    def accuracy_change(self, objective: str) -> float:
        """Mean change of overall accuracy from reconstruction only."""
        reference = self.one(RECONSTRUCTION_ONLY, "mean_overall")
        return float((self.every(objective)["mean_overall"] - reference).mean())

    def effect(self, objective: str, panel: str) -> float:
        """Mean of Figure 4's bars of an objective in a panel."""
        if self.every(objective).empty:
            return math.nan
        rows = self.bars[(self.bars["objective"] == objective) & (self.bars["panel"] == panel)]
        return float(rows["delta"].mean())


@dataclass(frozen=True)
class Claim:
    """A sentence of the paper, its number or its word, our rule, and what judges it."""

    section: str
    claim: str
    paper: str
    rule: str
    judge: Callable[[SweepMeans], Outcome]


def selected_margins(means: SweepMeans) -> Outcome:
    name = means.selected
    margins = tuple(means.one(name, margin) for margin in MARGINS)
    return margins, f"{name}: {margins[0]:.2f}, {margins[1]:.2f}", min(margins) > 0


def selected_accuracy(means: SweepMeans) -> Outcome:
    names = (means.selected, RECONSTRUCTION_ONLY)
    ours, bound = (means.one(name, "mean_overall") for name in names)
    return (ours, bound), f"{ours:.3f} against {bound:.3f}", ours >= bound - LOST


def gain_over_cl(means: SweepMeans, task: str) -> Outcome:
    accuracy = f"{task}_overall"
    gain = means.one(means.selected, accuracy) - means.one(f"cl-{task}", accuracy)
    return (gain,), f"{gain:+.2f}", gain > 0


def reconstruction_margins(means: SweepMeans) -> Outcome:
    margins = tuple(means.one(RECONSTRUCTION_ONLY, margin) for margin in MARGINS)
    bound = NEAR_ZERO[int(means.table["seeds"].max() >= NEAR_ZERO_SEEDS)]
    return margins, f"{margins[0]:.2f}, {margins[1]:.2f}", max(map(abs, margins)) <= bound


def cl_below_encoder(means: SweepMeans) -> Outcome:
    gaps = tuple(
        means.one(f"cl-{task}", f"{task}_overall") - means.one("encoder", f"{task}_overall")
        for task in TASKS
    )
    return gaps, f"{gaps[0]:+.2f}, {gaps[1]:+.2f}", max(gaps) < 0


def mse_correlation(means: SweepMeans, task: str) -> Outcome:
    reference = means.table[means.table["name"] == RECONSTRUCTION_ONLY]
    points = pd.concat([means.every(*OBJECTIVES), reference]).dropna(subset=["mse"])
    rho = spearman(points["mse"], points[f"{task}_overall"])
    bound = -1.645 / math.sqrt(max(len(points) - 1, 1))  # 5 %, one-sided, no correlation
    return (rho,), f"ρ = {rho:.2f} (n = {len(points)})", rho < bound


def above_cl(means: SweepMeans, task: str) -> Outcome:
    accuracies = means.both_losses[f"{task}_overall"]
    baseline = means.one(f"cl-{task}", f"{task}_overall")
    above = int((accuracies > baseline).sum())
    share = above / len(accuracies) if len(accuracies) else math.nan
    return (share, baseline), f"{above} of {len(accuracies)}", share >= 0.9


def high_mse_low_lambda(means: SweepMeans) -> Outcome:
    both = means.both_losses
    worst = both[both["mse"] >= both["mse"].quantile(0.75)]
    mean, overall = float(worst["lam"].mean()), float(both["lam"].mean())
    return (mean, overall), f"mean λ {mean:.2f} against {overall:.2f}", mean < overall


def separation_beats_similarity(means: SweepMeans) -> Outcome:
    sep, sim = (means.share_with_both_margins(name) for name in ("SEP", "SIM"))
    return (sep, sim), f"{sep:.0%} of SEP against {sim:.0%} of SIM", sep > sim


def similarity_fails_on_instrument(means: SweepMeans) -> Outcome:
    margins = means.every("SIM")["delta_instrument"]
    positive, mean = int((margins > 0).sum()), float(margins.mean())
    ours = f"{positive} of {len(margins)} positive, mean {mean:.2f}"
    return (mean,), ours, positive < len(margins) / 2


def similarity_loses_accuracy(means: SweepMeans) -> Outcome:
    sim, sep = (means.accuracy_change(name) for name in ("SIM", "SEP"))
    return (sim, sep), f"SIM {sim:+.3f}, SEP {sep:+.3f}", sim < sep and sim < 0


def both_nearly_always_positive(means: SweepMeans) -> Outcome:
    share = means.share_with_both_margins("SIM+SEP")
    return (share,), f"{share:.0%} of SIM+SEP", share >= 2 / 3


def objective_outweighs_principle(means: SweepMeans) -> Outcome:
    rows = means.every(*OBJECTIVES)
    objective, principle = (eta_squared(rows, factor) for factor in ("objective", "principle"))
    ours = f"objective {objective:.0%}, principle {principle:.0%}"
    return (objective, principle), ours, objective > principle


def top_margin_costs(means: SweepMeans) -> Outcome:
    rows = means.every(*OBJECTIVES)
    bound = means.one(RECONSTRUCTION_ONLY, "mean_overall")
    tops = [rows.nlargest(1, margin)["mean_overall"].mean() for margin in MARGINS]
    changes = tuple(float(top) - bound for top in tops)
    return changes, f"{changes[0]:+.3f}, {changes[1]:+.3f}", max(changes) < 0


def bars_mostly_negative(means: SweepMeans) -> Outcome:
    bars = means.bars["delta"].dropna()
    bars = bars.iloc[:0] if means.every(*OBJECTIVES).empty else bars
    share = float((bars < 0).mean())
    return (share,), f"{share:.0%} of {len(bars)} bars", share >= 0.75


def other_subspace_unaffected(means: SweepMeans) -> Outcome:
    sep_private, sep_shared, sim_private, sim_shared = sizes = tuple(
        sum(abs(means.effect(objective, panel)) for panel in panels) / 2
        for objective in ("SEP", "SIM")
        for panels in ("AC", "BD")  # from z_p, from z_s
    )
    ours = (
        f"SEP {sep_private:.3f} in z_p, {sep_shared:.3f} in z_s; "
        f"SIM {sim_private:.3f} in z_p, {sim_shared:.3f} in z_s"
    )
    return sizes, ours, sep_shared < sep_private / 2 and sim_private < sim_shared / 2


def largest_effect(means: SweepMeans, objective: str, panel: str) -> Outcome:
    effects = {name: means.effect(objective, name) for name in PANELS}
    ours = ", ".join(f"{name} {effect:+.3f}" for name, effect in effects.items())
    return tuple(effects.values()), ours, min(effects, key=effects.__getitem__) == panel


CLAIMS = (
    Claim("4.1", "The chosen configuration has positive margins on both tasks", "0.10, 0.17",
          "both > 0 on test", selected_margins),
    Claim("4.1", "It loses no overall accuracy against reconstruction only", "0.825 against 0.825",
          f"mean of the tasks ≥ reconstruction only − {LOST}", selected_accuracy),
    Claim("4.1", "It beats CL-Pitch on pitch", "+0.06",
          "difference > 0", partial(gain_over_cl, task="pitch")),
    Claim("4.1", "It beats CL-Instrument on instrument", "+0.13",
          "difference > 0", partial(gain_over_cl, task="instrument")),
    Claim("4.1", "Reconstruction only is entangled: its margins are near zero", "0.00, 0.01",
          f"both within {NEAR_ZERO[0]} (within {NEAR_ZERO[1]} from {NEAR_ZERO_SEEDS} seeds)",
          reconstruction_margins),
    Claim("4.1", "CL falls below the frozen encoder on the task of its own pairs", "−0.02, −0.10",
          "both differences < 0", cl_below_encoder),
    Claim("4.2", "Lower MSE goes with higher pitch accuracy", "“generally correlated”",
          "ρ below chance at 5 %, one-sided", partial(mse_correlation, task="pitch")),
    Claim("4.2", "Lower MSE goes with higher instrument accuracy", "“generally correlated”",
          "ρ below chance at 5 %, one-sided", partial(mse_correlation, task="instrument")),
    Claim("4.2", "Configurations with both losses beat CL-Pitch on pitch", "“consistently”",
          "at least 90 % of 0 < λ < 1", partial(above_cl, task="pitch")),
    Claim("4.2", "Configurations with both losses beat CL-Instrument on instrument",
          "“consistently”", "at least 90 % of 0 < λ < 1", partial(above_cl, task="instrument")),
    Claim("4.2", "Points with higher MSE are mainly those with a low λ", "“primarily”",
          "mean λ of the quarter with the highest MSE below that of all", high_mse_low_lambda),
    Claim("4.3", "Separation gives positive margins on both tasks more often than similarity",
          "“more effective”", "larger share", separation_beats_similarity),
    Claim("4.3", "Similarity fails to give a positive margin on instrument", "“struggle”",
          "fewer than half positive", similarity_fails_on_instrument),
    Claim("4.3", "Similarity loses overall accuracy where separation keeps it", "“sacrifice”",
          "mean change from reconstruction only: SIM < 0 and SIM < SEP", similarity_loses_accuracy),
    Claim("4.3", "Both together almost always give positive margins on both tasks",
          "“almost universally”", "at least two thirds", both_nearly_always_positive),
    Claim("4.3", "The objective matters more for the margins than the principle",
          "“much more influential”", "η² of objective > η² of principle",
          objective_outweighs_principle),
    Claim("4.3", "The highest margins on either axis cost overall accuracy", "“compromised”",
          "below reconstruction only at the top of both axes", top_margin_costs),
    Claim("4.4", "Any weight of L_dis lowers subspace accuracy", "“dominant trend”",
          "at least 75 % of Figure 4's bars < 0", bars_mostly_negative),
    Claim("4.4", "The subspace that L_dis does not act on is hardly affected",
          "“relatively unaffected”", "mean size of Δ less than half of that in the other",
          other_subspace_unaffected),
    Claim("4.4", "Separation lowers instrument accuracy from z_p most (A)", "A",
          "A is the lowest of the four panels",
          partial(largest_effect, objective="SEP", panel="A")),
    Claim("4.4", "Similarity lowers pitch accuracy from z_s most (D)", "D",
          "D is the lowest of the four panels",
          partial(largest_effect, objective="SIM", panel="D")),
)  # fmt: skip
