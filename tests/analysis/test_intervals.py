"""The crossed interval against references, and how often it covers what was planted."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from analysis.intervals import ALPHA, Interval, interval, note_weights
from analysis.trainings import Array
from analysis.unpaired import unpaired_interval
from tests.analysis.planted import classified

TWO_POINTS = np.array([[0.74], [0.68]])  # accuracies of a configuration and its reference
TRUTH = 0.06


def drawn(contrast: Array, notes: Array, samples: int) -> Array:
    """[seed, sample] of the mean over clips of [seed, clip], as measured first."""
    weights = note_weights(notes, samples).astype(float)
    resampled = contrast @ weights.T / weights.sum(axis=1)
    return np.concatenate([contrast.mean(axis=1, keepdims=True), resampled], axis=1)


def contrast_of(seeds: int, notes: int, random: np.random.Generator) -> tuple[Array, Array]:
    """[seed, clip] of what one point classifies rightly and the other does not; clips' notes."""
    right, note = classified(TWO_POINTS, seeds, notes, random)
    return (right[:, 0, 0] - right[:, 1, 0]).astype(float), note


def test_without_clips_it_is_the_t_interval_over_seeds() -> None:
    values = np.array([[0.1], [0.3], [0.2], [0.5]])
    found = interval(values)
    low, high = stats.t.interval(0.95, 3, values.mean(), stats.sem(values[:, 0]))
    assert (found.low, found.high) == pytest.approx((low, high))


def test_with_one_seed_only_the_notes_are_in_it() -> None:
    values = np.array([[0.5, 0.4, 0.6, 0.5, 0.5]])
    deviation = np.std([0.4, 0.6, 0.5, 0.5], ddof=1)
    assert interval(values).half() == pytest.approx(stats.norm.ppf(0.975) * deviation)
    assert np.isnan(interval(values[:, :1]).half())


def test_a_case_worked_by_hand() -> None:
    # Two seeds, .2 apart: V_S = .02 / 2. The notes move both by the same ± .1: V_C = V_N = .02.
    found = interval(np.array([[0.4, 0.3, 0.5], [0.6, 0.5, 0.7]]))
    assert (found.mean, found.of_seed, found.common) == pytest.approx((0.5, 0.02, 0.02))
    half = (12.706**2 * 0.01 + 1.96**2 * 0.02) ** 0.5
    assert found.half() == pytest.approx(half, rel=1e-4)


def test_what_notes_do_within_seeds_is_not_counted_twice() -> None:
    # The notes move the seeds against each other: nothing is common to them.
    assert interval(np.array([[0.4, 0.3, 0.5], [0.6, 0.7, 0.5]])).common == 0


def test_its_variances_are_those_of_a_two_way_analysis_of_variance() -> None:
    contrast, _ = contrast_of(4, 60, np.random.default_rng(3))
    contrast = contrast[:, ::2]  # one clip a note
    found = interval(drawn(contrast, np.arange(60), 4000))
    seed, clip = np.indices(contrast.shape)
    table = pd.DataFrame({"y": contrast.ravel(), "seed": seed.ravel(), "clip": clip.ravel()})
    squares = anova_lm(ols("y ~ C(seed) + C(clip)", table).fit())["mean_sq"]
    assert found.of_seed == pytest.approx(squares["C(seed)"] / 60)
    common = (squares["C(clip)"] - squares["Residual"]) / contrast.size
    assert found.common == pytest.approx(common, rel=0.1)


def test_seeds_that_agree_on_a_share_by_chance_still_vary_by_a_step() -> None:
    agreed = np.full((5, 1), 0.75)
    assert interval(agreed).half() == 0
    assert interval(agreed, floor=1 / (12 * 12**0.5)).half() > 0.02


def test_seeds_without_a_value_are_left_out() -> None:
    found = interval(np.array([[0.1], [np.nan], [0.3]]))
    assert (found.mean, found.seeds) == (pytest.approx(0.2), 2)
    assert interval(np.array([[np.nan]])).seeds == 0


def test_clips_of_a_note_are_drawn_together_and_always_the_same() -> None:
    weights = note_weights(np.array(["a", "b", "a", "c", "b"]), samples=50)
    assert (weights[:, 0] == weights[:, 2]).all() and (weights[:, 1] == weights[:, 4]).all()
    assert (weights[:, [0, 1, 3]].sum(axis=1) == 3).all()
    again = note_weights(np.array(["a", "b", "a", "c", "b"]), samples=50)
    assert (weights == again).all()


def test_the_level_is_where_the_interval_touches() -> None:
    values = Interval(mean=0.2, seeds=6, of_seed=0.01, common=0.0)
    p = stats.ttest_1samp([0, 1, 2, 3, 4, 5], 0).pvalue
    scaled = Interval(mean=2.5, seeds=6, of_seed=3.5, common=0.0)
    assert scaled.level(2.5) == pytest.approx(p, rel=1e-4)
    assert values.half(values.level(0.1)) == pytest.approx(0.1, rel=1e-4)
    assert values.level(0) == values.level(-1) == 1


def test_seeds_to_settle_by_hand() -> None:
    # σ = 1, d = 1: n = 10 has half-width 2.262/√10 = .715 and .842/√10 = .266; n = 9 falls short.
    one = Interval(mean=0.0, seeds=3, of_seed=1.0, common=0.0)
    assert one.seeds_to_settle(1.0) == 10
    assert one.seeds_to_settle(0.001) > 200


def test_no_number_of_seeds_settles_what_the_notes_leave_open() -> None:
    noted = Interval(mean=0.0, seeds=3, of_seed=1.0, common=0.1)
    assert np.isinf(noted.seeds_to_settle(0.8)) and noted.seeds_to_settle(2) < 20


def covered(seeds: int, repeats: int, notes: int = 100) -> float:
    random = np.random.default_rng(seeds)
    hits = 0
    for _ in range(repeats):
        contrast, note = contrast_of(seeds, notes, random)
        found = interval(drawn(contrast, note, 200))
        hits += found.low <= TRUTH <= found.high
    return hits / repeats


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_95_percent_intervals_cover_between_93_and_98_percent(seeds: int) -> None:
    assert 0.93 <= covered(seeds, repeats=1500) <= 0.98


def unpaired(seeds: int, baselines: int, random: np.random.Generator) -> Interval:
    """Of a configuration with some seeds less a baseline with others, on the same notes."""
    right, note = classified(TWO_POINTS, seeds + baselines, 60, random)
    ours, theirs = (
        drawn(right[rows, point, 0].astype(float), note, 100)
        for point, rows in enumerate((slice(seeds), slice(seeds, None)))
    )
    return unpaired_interval(ours[:, None] - theirs[None, :])


@pytest.mark.parametrize(("seeds", "baselines"), [(3, 9), (5, 10)])
def test_intervals_of_unpaired_seeds_cover_too(seeds: int, baselines: int) -> None:
    random = np.random.default_rng(seeds)
    found = [unpaired(seeds, baselines, random) for _ in range(600)]
    assert 0.93 <= np.mean([each.low <= TRUTH <= each.high for each in found]) <= 0.985


def test_without_notes_the_unpaired_interval_is_welch_s() -> None:
    ours, theirs = np.array([0.1, 0.3, 0.2]), np.array([0.0, 0.4, 0.1, 0.2, 0.6])
    found = unpaired_interval((ours[:, None] - theirs[None, :])[..., None])
    low, high = stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval()
    assert (found.low, found.high) == pytest.approx((low, high))


def nested(contrast: Array, random: np.random.Generator, samples: int = 200) -> tuple[float, float]:
    """The usual hierarchical bootstrap: seeds, and in each seed its clips, drawn anew."""
    n, clips = contrast.shape
    seeds = random.integers(n, size=(samples, n))
    chosen = random.integers(clips, size=(samples, n, clips))
    means = contrast[seeds[..., None], chosen].mean(axis=(1, 2))
    low, high = np.quantile(means, [ALPHA / 2, 1 - ALPHA / 2])
    return float(low), float(high)


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_the_nested_bootstrap_does_not(seeds: int) -> None:
    random = np.random.default_rng(seeds)
    hits = 0
    for _ in range(200):
        contrast, _ = contrast_of(seeds, 100, random)
        low, high = nested(contrast, random)
        hits += low <= TRUTH <= high
    assert hits / 200 < 0.93
