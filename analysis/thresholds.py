"""Where a claim's word becomes a number, and why that one."""

from __future__ import annotations

from dataclasses import dataclass

FROZEN = "2026-11-29, before the results of the study were read"


@dataclass(frozen=True)
class Threshold:
    """A judgement call: the paper's word, our bound for it, and why that one."""

    word: str
    value: float
    meaning: str
    reason: str


NO_LOSS = Threshold(
    "without sacrificing, competitive, comparable accuracy; a strong baseline", 0.02,
    "at most 2 points below the reference",
    "the paper itself calls 0.94 against 0.95 no loss; that step of its print, twice",
)  # fmt: skip
SACRIFICE = Threshold(
    "sacrifice, compromised", 0.01, "more than 1 point below reconstruction only",
    "the least loss that the paper's two decimals show",
)  # fmt: skip
GAIN = Threshold(
    "boost of the margins; optimal", 0.02, "more than 2 points",
    "the paper's gains are 10 and 16 points; below the tolerance of accuracy none is a boost",
)  # fmt: skip
ENTANGLED = Threshold(
    "margins of 0", 0.05, "within ±5 points, however many seeds",
    "half of the smaller gain over it that the paper reports",
)  # fmt: skip
STRUGGLE = Threshold(
    "struggle to produce positive margins", 0.02, "a mean margin below 2 points",
    "less than what counts as a gain",
)  # fmt: skip
CORRELATED = Threshold(
    "generally correlated", -0.3, "Spearman's ρ below −0.3",
    "a medium correlation by Cohen's convention",
)  # fmt: skip
CONSISTENTLY = Threshold(
    "consistently", 0.9, "in at least 90 % of the configurations",
    "one exception in ten leaves a trend consistent",
)  # fmt: skip
PRIMARILY = Threshold(
    "primarily", 0.5, "more than half", "half of the configurations have a low λ: by chance half"
)
MORE_EFFECTIVE = Threshold(
    "more effective", 0.1, "a share larger by more than 10 points",
    "more than one of an objective's twelve configurations",
)  # fmt: skip
HALF = Threshold("struggle", 0.5, "positive in fewer than half", "as often as by chance")
UNIVERSALLY = Threshold(
    "almost universally", 0.8, "in at least 80 %", "two thirds would be “mostly”"
)
MUCH_MORE = Threshold("much more", 2.0, "more than twice the variance", "“more” alone would be one")
TURNING = Threshold(
    "not consistent", 0.0,
    "what the principle does differently by objective outweighs what it does in all (η² a df)",
    "a trend is consistent where it is the same whatever the objective",
)  # fmt: skip
REGARDLESS = Threshold(
    "regardless", 0.0, "ρ < 0 within each principle and each objective, means of their paths",
    "no choice of either may turn the sign; the five points of one path alone tell too little",
)  # fmt: skip
DOMINANT = Threshold("dominant trend", 0.75, "at least three of four", "three to one dominates")
UNAFFECTED = Threshold(
    "relatively unaffected", 0.03, "within ±3 points",
    "a third of the effects of 10 points that the paper shows in A and D",
)  # fmt: skip
SEVERAL = Threshold(
    "multiple configurations", 3,
    "the three best by the rule of Table 1, chosen on the other seeds' validation, each with both "
    "margins above 0 and no loss", "two would be “two”",
)  # fmt: skip
TOP = Threshold(
    "highest margins", 5, "the five highest of an axis", "an eighth of the plot's points"
)

THRESHOLDS = (
    NO_LOSS, SACRIFICE, GAIN, ENTANGLED, STRUGGLE, CORRELATED, CONSISTENTLY, PRIMARILY,
    MORE_EFFECTIVE, HALF, UNIVERSALLY, MUCH_MORE, TURNING, REGARDLESS, DOMINANT,
    UNAFFECTED, SEVERAL, TOP,
)  # fmt: skip
