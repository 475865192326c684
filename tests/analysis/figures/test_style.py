"""Colours are told apart in colour, in greyscale and under the common colour blindnesses."""

import itertools

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from analysis.figures import style

# Machado, Oliveira and Fernandes 2009, severity 1.0, on linear RGB.
VISION: dict[str, list[float]] = {
    "full": [1, 0, 0, 0, 1, 0, 0, 0, 1],
    "protanopia": [
        0.152286, 1.052583, -0.204868, 0.114503, 0.786281, 0.099216, -0.003882, -0.048116, 1.051998
    ],
    "deuteranopia": [
        0.367322, 0.860646, -0.227968, 0.280085, 0.672501, 0.047413, -0.011820, 0.042940, 0.968881
    ],
    "tritanopia": [
        1.255528, -0.076749, -0.178779, -0.078411, 0.930809, 0.147602, 0.004733, 0.691367, 0.303900
    ],
}  # fmt: skip
XYZ = np.array([
    [0.4124564, 0.3575761, 0.1804375],
    [0.2126729, 0.7151522, 0.0721750],
    [0.0193339, 0.1191920, 0.9503041],
])  # fmt: skip


def lab(colour: str, vision: str = "full") -> np.ndarray:
    """CIE L*a*b* (D65) of a colour as seen."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = XYZ @ np.clip(np.reshape(VISION[vision], (3, 3)) @ linear, 0, 1) / (XYZ @ np.ones(3))
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("vision", VISION)
def test_no_two_objectives_look_alike(vision: str) -> None:
    for first, second in itertools.combinations(style.COLOURS.values(), 2):
        assert np.linalg.norm(lab(first, vision) - lab(second, vision)) > 25


def test_objectives_differ_in_lightness_and_stand_out_from_paper() -> None:
    lightness = [lab(colour)[0] for colour in style.COLOURS.values()]
    assert lightness == sorted(lightness, reverse=True)
    assert min(-np.diff(lightness)) > 15
    assert max(lightness) < 70


@pytest.mark.parametrize("name", [*style.COLOURS, "grey"])
def test_tints_darken_step_by_step(name: str) -> None:
    lightness = [lab(tint)[0] for tint in style.tints(name, 5)]
    assert max(np.diff(lightness)) < -8


def test_one_tint_is_a_colour_too() -> None:
    assert len(style.tints("SIM", 1)) == 1


def test_the_paper_s_principles_keep_their_markers_whatever_is_added() -> None:
    assert style.markers(["VICReg", "Barlow", "InfoNCE"]) == {
        "InfoNCE": "o", "VICReg": "^", "Barlow": "D"
    }  # fmt: skip
