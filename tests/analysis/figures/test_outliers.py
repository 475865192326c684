import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from analysis.figures.outliers import clip_outliers, is_wide, note

NEAR = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0]


def points(values: list[float]) -> pd.DataFrame:
    names = [f"point {i}" for i in range(len(values))]
    return pd.DataFrame({"name": names, "x": values, "x_low": 0.1, "x_high": 0.2})


def test_a_value_far_out_stands_just_clipped_the_others_without_its_interval() -> None:
    clipped = clip_outliers(points([*NEAR, 1000.0]), "x")
    assert list(clipped["x"][:-1]) == NEAR
    assert clipped["x"].iloc[-1] == 10 + 0.08 * 9
    assert clipped["x_high"].isna().tolist() == [False] * 10 + [True]
    assert list(clipped["x_clipped"]) == [0] * 10 + [1]
    assert note(clipped) == "Off the scale (arrows): point 10."


def test_a_clipped_value_stands_beyond_the_intervals_of_the_others() -> None:
    clipped = clip_outliers(points([*NEAR, 1000.0]).assign(x_low=0.5, x_high=20.5), "x")
    assert clipped["x"].iloc[-1] == 20.5 + 0.08 * 20


def test_a_value_far_below_points_down() -> None:
    assert clip_outliers(points([*NEAR, -1000.0]), "x")["x_clipped"].iloc[-1] == -1


def test_on_a_log_scale_distance_is_counted_in_decades() -> None:
    values = [10.0**exponent for exponent in NEAR]
    assert (clip_outliers(points(values), "x", log=True)["x_clipped"] == 0).all()
    assert (clip_outliers(points(values), "x")["x_clipped"] != 0).any()


def test_more_than_three_far_points_are_counted_in_the_note() -> None:
    clipped = clip_outliers(points([*(v for v in NEAR for _ in range(4)), *[9e9] * 5]), "x")
    assert note(clipped) == "Off the scale (arrows): point 40, point 41, point 42 and 2 more."


def test_few_points_are_all_in_place() -> None:
    assert note(clip_outliers(points([1.0, 2.0, 3.0, 1e9]), "x")) == ""


def test_a_log_scale_is_for_more_than_a_factor_of_three() -> None:
    assert not is_wide(pd.Series([1.0, 3.0]))
    assert is_wide(pd.Series([1.0, 3.1]))
    assert not is_wide(pd.Series([], dtype=float))


@given(st.lists(st.floats(-1e6, 1e6), max_size=40))
def test_clipping_keeps_every_point_and_the_order_of_those_in_place(values: list[float]) -> None:
    clipped = clip_outliers(points(values), "x")
    inside = clipped["x_clipped"] == 0
    assert len(clipped) == len(values)
    assert clipped.loc[inside, "x"].tolist() == points(values).loc[inside, "x"].tolist()
    assert inside.mean() >= 0.5 or not values
