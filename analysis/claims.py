"""The paper's claims (its sections 4.1 to 4.4): each a statistic inside a seed, and a region.

A claim is true where its statistic lies between `low` and `high`, in all its parts. λ = 0 is left
out of every share, mean and variance: a subspace without a loss is an untrained encoder there, and
the nine cells hold few distinct ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import inf

from analysis import contrasts as c
from analysis.configurations import BASELINES, OBJECTIVES, RECONSTRUCTION_ONLY
from analysis.factors import PAPER as PAPER_FACTORS
from analysis.factors import Factors
from analysis.measured import Measured
from analysis.selection import PAPER_SELECTION
from analysis.thresholds import (
    CONSISTENTLY,
    CORRELATED,
    DOMINANT,
    ENTANGLED,
    GAIN,
    HALF,
    MORE_EFFECTIVE,
    MUCH_MORE,
    NO_LOSS,
    PRIMARILY,
    REGARDLESS,
    SACRIFICE,
    STRUGGLE,
    TURNING,
    UNAFFECTED,
    UNIVERSALLY,
)

ACCURACY, SHARE, RHO, ETA = "points of accuracy", "share", "ρ", "η²"  # units
SHARES = "difference of shares"
UNTRAINED = "λ = 0"  # a family beside the objectives: configurations without reconstruction


def check_factors(factors: Factors) -> None:
    """ValueError, one line, where a study is none that the claims are about."""
    if factors != PAPER_FACTORS:
        tasks = ", ".join(f"{task} {subspace}" for task, subspace in factors.wanted)
        raise ValueError(
            "The paper's claims are about pairs of one instrument, pitch private and instrument "
            f"shared; this study's pairs share {factors.share}, and its tasks are {tasks}"
        )


@dataclass(frozen=True)
class Claim:
    """A sentence of the paper, its number or its word, and when it is true."""

    key: str
    section: str
    claim: str
    paper: str
    rule: str
    unit: str
    low: float
    high: float
    statistic: c.Statistic
    points: tuple[str, ...] = ()  # that it cannot do without
    families: tuple[str, ...] = ()  # objectives whose configurations with 0 < λ < 1 it rests on
    balanced: bool = False  # whether none of these can be left out
    steps: Callable[[Measured], int] | None = None  # a share of how many it is, if it is one

    @property
    def baselines(self) -> tuple[str, ...]:
        """Those of its points that are baselines: they may have more seeds than the grid."""
        return tuple(name for name in self.points if name in BASELINES)


PAPER, REC = PAPER_SELECTION, RECONSTRUCTION_ONLY
ALL, LOSS = OBJECTIVES, NO_LOSS.value
_mixed = lambda m: len(m.where())  # noqa: E731

MAIN = (
    Claim("1", "4.1", "The paper's choice has positive margins on both tasks", "0.10, 0.17",
          "both > 0", ACCURACY, 0, inf, partial(c.margins, of=c.paper_choice), (PAPER,)),
    Claim("1c", "4.1", "The configuration chosen here has positive margins on both tasks", "–",
          "both > 0, chosen on the other seeds' validation", ACCURACY, 0, inf,
          partial(c.margins, of=c.cross_chosen), (REC,), ALL),
    Claim("a", "4.1", "The paper's choice boosts the margins of reconstruction only",
          "10 and 16 points", f"both gains > {GAIN.value:g}", ACCURACY, GAIN.value, inf,
          c.margin_gains, (PAPER, REC)),
    Claim("2", "4.1", "The paper's choice loses no overall accuracy", "0.825 against 0.825",
          f"change from reconstruction only > −{LOSS:g}", ACCURACY, -LOSS, inf,
          partial(c.accuracy_change, of=c.paper_choice), (PAPER, REC)),
    Claim("2c", "4.1", "The configuration chosen here loses no overall accuracy", "–",
          f"the same > −{LOSS:g}, chosen on the other seeds' validation", ACCURACY, -LOSS, inf,
          partial(c.accuracy_change, of=c.cross_chosen), (REC,), ALL),
    Claim("3", "4.1", "The paper's choice beats CL-Pitch on pitch", "+0.06",
          "difference > 0", ACCURACY, 0, inf, partial(c.gain_over_cl, task="pitch"),
          (PAPER, "cl-pitch")),
    Claim("4", "4.1", "The paper's choice beats CL-Instrument on instrument", "+0.13",
          "difference > 0", ACCURACY, 0, inf, partial(c.gain_over_cl, task="instrument"),
          (PAPER, "cl-instrument")),
    Claim("5", "4.1", "Reconstruction only is entangled: its margins are near zero", "0.00, 0.01",
          f"both within ±{ENTANGLED.value:g}", ACCURACY, -ENTANGLED.value, ENTANGLED.value,
          c.reconstruction_margins, (REC,)),
    Claim("6", "4.1", "CL falls below the frozen encoder on the task of its own pairs",
          "−0.02, −0.10", "both differences < 0", ACCURACY, -inf, 0, c.cl_below_encoder,
          ("encoder", "cl-pitch", "cl-instrument")),
    Claim("k", "4.1", "The paper's choice is no worse than the frozen encoder", "+0.04, +0.03",
          f"both differences > −{LOSS:g}", ACCURACY, -LOSS, inf, c.above_encoder,
          (PAPER, "encoder")),
    Claim("b", "4.1", f"{PAPER_SELECTION} is the optimal configuration", "“optimal”",
          f"worse margin of the one chosen here − its own < {GAIN.value:g}", ACCURACY,
          -inf, GAIN.value, c.better_than_paper, (PAPER, REC), ALL),
)  # fmt: skip

RECONSTRUCTION = (
    Claim("7", "4.2", "Lower MSE goes with higher pitch accuracy", "“generally correlated”",
          f"ρ over a seed's configurations < −{-CORRELATED.value:g}", RHO, -inf, CORRELATED.value,
          partial(c.mse_correlation, task="pitch"), (REC,), ALL),
    Claim("8", "4.2", "Lower MSE goes with higher instrument accuracy", "“generally correlated”",
          f"ρ over a seed's configurations < −{-CORRELATED.value:g}", RHO, -inf, CORRELATED.value,
          partial(c.mse_correlation, task="instrument"), (REC,), ALL),
    Claim("j", "4.2", "Lower MSE goes with higher accuracy whatever the configuration",
          "“regardless”", "ρ with mean accuracy along λ < 0 within each principle and within each "
          "objective", RHO, -inf, REGARDLESS.value,
          c.mse_correlation_of_paths, (REC,), ALL, balanced=True,
          steps=lambda m: len(c.lambdas(m)) + 1),
    Claim("9", "4.2", "Configurations with both losses beat CL-Pitch on pitch", "“consistently”",
          f"share of 0 < λ < 1 above it > {CONSISTENTLY.value:g}", SHARE, CONSISTENTLY.value, inf,
          partial(c.share_above_cl, task="pitch"), ("cl-pitch",), ALL, steps=_mixed),
    Claim("10", "4.2", "Configurations with both losses beat CL-Instrument on instrument",
          "“consistently”", f"share of 0 < λ < 1 above it > {CONSISTENTLY.value:g}", SHARE,
          CONSISTENTLY.value, inf, partial(c.share_above_cl, task="instrument"),
          ("cl-instrument",), ALL, steps=_mixed),
    Claim("11", "4.2", "Points with higher MSE and lower accuracy are those with a low λ",
          "“primarily”", f"share with λ < {c.LOW_LAMBDA:g} among the worse half by both > "
          f"{PRIMARILY.value:g}", SHARE, PRIMARILY.value, inf, c.low_lambda_among_poor, (), ALL,
          steps=lambda m: len(m.where()) // 4),
    Claim("c", "4.2", "Adding reconstruction raises overall accuracy", "“richer”",
          "mean of 0 < λ < 1 less that of λ = 0 > 0", ACCURACY, 0, inf, c.with_reconstruction,
          (), (*ALL, UNTRAINED)),
)  # fmt: skip

SEPARATION = (
    Claim("12", "4.3", "Separation gives two positive margins more often than similarity",
          "“more effective”", f"share of SEP less share of SIM > {MORE_EFFECTIVE.value:g}", SHARES,
          MORE_EFFECTIVE.value, inf, c.separation_beats_similarity, (), ("SEP", "SIM"),
          steps=lambda m: len(m.where("SIM"))),
    Claim("13", "4.3", "Similarity rarely gives a positive margin on instrument", "“struggle”",
          f"share positive < {HALF.value:g}", SHARE, -inf, HALF.value, c.similarity_positive, (),
          ("SIM",), steps=_mixed),
    Claim("13m", "4.3", "Similarity's mean margin on instrument is small at best", "“struggle”",
          f"mean < {STRUGGLE.value:g}", ACCURACY, -inf, STRUGGLE.value, c.similarity_margin, (),
          ("SIM",)),
    Claim("14", "4.3", "Similarity loses overall accuracy", "“sacrifice”",
          f"mean change from reconstruction only < −{SACRIFICE.value:g}", ACCURACY, -inf,
          -SACRIFICE.value, partial(c.accuracy_change, of=lambda m: m.where("SIM")), (REC,),
          ("SIM",)),
    Claim("d", "4.3", "Separation keeps overall accuracy", "“comparable”",
          f"mean change from reconstruction only > −{LOSS:g}", ACCURACY, -LOSS, inf,
          partial(c.accuracy_change, of=lambda m: m.where("SEP")), (REC,), ("SEP",)),
    Claim("e", "4.3", "Both together keep overall accuracy", "“competitive”",
          f"mean change from reconstruction only > −{LOSS:g}", ACCURACY, -LOSS, inf,
          partial(c.accuracy_change, of=lambda m: m.where("SIM+SEP")), (REC,), ("SIM+SEP",)),
    Claim("15", "4.3", "Both together almost always give two positive margins",
          "“almost universally”", f"share > {UNIVERSALLY.value:g}", SHARE, UNIVERSALLY.value, inf,
          c.both_positive, (), ("SIM+SEP",), steps=lambda m: len(m.where("SIM+SEP"))),
    Claim("f", "4.3", "Several configurations disentangle without loss", "“multiple”",
          f"margins > 0 and change of accuracy + {LOSS:g} > 0 of the three best, chosen on the "
          "other seeds' validation", ACCURACY, 0, inf, c.several_without_loss, (REC,), ALL),
    Claim("16", "4.3", "The objective matters much more for the margins than the principle",
          "“much more”", f"η² of objective − {MUCH_MORE.value:g} × η² of principle > 0", ETA, 0,
          inf, partial(c.objective_over_principle, times=MUCH_MORE.value), (), ALL, balanced=True),
    Claim("g", "4.3", "The principles show no consistent trend", "“not consistent”",
          "η² per degree of freedom: principle × objective − principle > 0", ETA,
          TURNING.value, inf, c.principle_inconsistent, (), ALL, balanced=True),
    Claim("17", "4.3", "The highest margins on either axis cost overall accuracy", "“compromised”",
          f"the five highest, chosen on the other seeds' validation: change < −{SACRIFICE.value:g}",
          ACCURACY, -inf, -SACRIFICE.value, c.top_margins_cost, (REC,), ALL),
)  # fmt: skip

SUBSPACES = (
    Claim("18", "4.4", "Any weight of L_dis lowers subspace accuracy", "“dominant trend”",
          f"share of changes < 0 above {DOMINANT.value:g}", SHARE, DOMINANT.value, inf,
          c.share_of_decreases, (REC,), ALL, steps=_mixed),
    Claim("18m", "4.4", "Subspace accuracy falls on average", "“dominant trend”",
          "mean change < 0", ACCURACY, -inf, 0, c.mean_subspace_change, (REC,), ALL),
    Claim("19", "4.4", "The subspace that L_dis does not act on is hardly affected",
          "“relatively unaffected”", f"SEP: B, D, SIM: A, C within ±{UNAFFECTED.value:g}",
          ACCURACY, -UNAFFECTED.value, UNAFFECTED.value, c.other_subspace, (REC,),
          ("SIM", "SEP")),
    Claim("20", "4.4", "Separation lowers instrument accuracy from z_p most (A)", "A",
          "A less each of B, C, D < 0", ACCURACY, -inf, 0,
          partial(c.lowest_panel, objective="SEP", name="A"), (REC,), ("SEP",)),
    Claim("20h", "4.4", "Separation lowers A most at every weight", "“consistent”",
          "the same at each λ", ACCURACY, -inf, 0,
          partial(c.lowest_panel_each_weight, objective="SEP", name="A"), (REC,), ("SEP",),
          balanced=True),
    Claim("21", "4.4", "Similarity lowers pitch accuracy from z_s most (D)", "D",
          "D less each of A, B, C < 0", ACCURACY, -inf, 0,
          partial(c.lowest_panel, objective="SIM", name="D"), (REC,), ("SIM",)),
    Claim("21h", "4.4", "Similarity lowers D most at every weight", "“consistent”",
          "the same at each λ", ACCURACY, -inf, 0,
          partial(c.lowest_panel_each_weight, objective="SIM", name="D"), (REC,), ("SIM",),
          balanced=True),
    Claim("i", "4.4", "Subspace accuracy falls with the weight of L_dis", "“information loss”",
          "slope on 1 − λ < 0", ACCURACY, -inf, 0, c.slope_on_weight, (REC,), ALL),
)  # fmt: skip

CLAIMS = (*MAIN, *RECONSTRUCTION, *SEPARATION, *SUBSPACES)
