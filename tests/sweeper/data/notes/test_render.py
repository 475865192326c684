from __future__ import annotations

import numpy as np
import pytest

from sweeper.data.notes.render import CLIP_SECONDS, RENDERER_RATE, SAMPLE_RATE, decimate, render
from sweeper.errors import SweeperError

# Loud, wide and wet in the SoundFont as it comes: strings, piano, choir, tenor sax, synth.
NOTES = [(48, 60, 127), (0, 40, 127), (52, 69, 127), (66, 80, 100), (50, 30, 127), (5, 64, 25)]
QUARTER_TONE = 2 ** (1 / 24)


@pytest.mark.parametrize("program", [0, 11, 40, 73])
def test_a_rendered_a4_has_its_spectral_peak_near_440_hertz(dry_font: bytes, program: int) -> None:
    clip = render(dry_font, [(program, 69, 100)])[0]
    peak = np.argmax(np.abs(np.fft.rfft(clip))) / CLIP_SECONDS
    assert 440 / QUARTER_TONE < peak < 440 * QUARTER_TONE


def test_a_note_alone_equals_the_same_note_among_others(dry_font: bytes) -> None:
    together = render(dry_font, NOTES)
    for note, clip in zip(NOTES, together, strict=True):
        alone = render(dry_font, [note])[0]
        assert np.abs(alone).max() > 1e-3
        np.testing.assert_allclose(clip, alone, atol=1e-4)  # three steps of 16 bits


def test_the_order_of_the_notes_and_their_channel_play_no_part(dry_font: bytes) -> None:
    forwards = render(dry_font, NOTES)
    backwards = render(dry_font, NOTES[::-1])[::-1]
    np.testing.assert_allclose(forwards, backwards, atol=1e-4)


def test_the_same_notes_give_the_same_samples_twice(dry_font: bytes) -> None:
    np.testing.assert_array_equal(render(dry_font, NOTES), render(dry_font, NOTES))


def test_a_note_is_held_for_three_seconds_and_then_let_go(dry_font: bytes) -> None:
    clip = render(dry_font, [(19, 60, 100)])[0]  # an organ holds its level
    level = [np.sqrt(np.mean(second**2)) for second in clip.reshape(CLIP_SECONDS, -1)]
    assert level[2] > 0.7 * level[1]
    assert np.abs(clip[-SAMPLE_RATE // 4 :]).max() < 0.05 * np.abs(clip).max()


def test_a_clip_begins_with_its_note(dry_font: bytes) -> None:
    clips = render(dry_font, [(0, 60, 127)] * 5)
    onsets = [int(np.argmax(np.abs(clip) > 0.01)) for clip in clips]
    assert onsets == [onsets[0]] * 5
    assert onsets[0] < 0.02 * SAMPLE_RATE


@pytest.mark.parametrize(
    ("hertz", "kept"), [(100, True), (5_000, True), (8_200, False), (23_000, False)]
)
def test_decimation_keeps_what_16_khz_can_hold_and_nothing_else(hertz: int, kept: bool) -> None:
    time = np.arange(CLIP_SECONDS * RENDERER_RATE) / RENDERER_RATE
    sine = np.round(16_000 * np.sin(2 * np.pi * hertz * time)).astype(np.int16)
    middle = decimate([sine])[0, 100:-100]
    if kept:
        expected = (16_000 / 2**15) * np.sin(2 * np.pi * hertz * time[::3])[100:-100]
        np.testing.assert_allclose(middle, expected, atol=3e-4)
    else:
        assert np.abs(middle).max() < 16_000 / 2**15 * 10 ** (-60 / 20)


def test_a_soundfont_that_the_renderer_refuses_is_one_clear_line() -> None:
    with pytest.raises(SweeperError, match=r"^cannot render with this SoundFont \(.+\); give"):
        render(b"RIFF", [(0, 60, 100)])
