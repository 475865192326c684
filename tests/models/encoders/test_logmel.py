from __future__ import annotations

import hashlib

import numpy as np
import pytest

from models.encoders import logmel
from models.encoders.logmel import BANDS, FLOOR, HOP, SAMPLES, STRETCHES, WINDOW, LogMel

RATE = 16_000


def sine(hertz: float, level: float = 1.0) -> np.ndarray:
    return (level * np.sin(2 * np.pi * hertz * np.arange(SAMPLES) / RATE)).astype(np.float32)


def by_definition(waveform: np.ndarray) -> np.ndarray:
    """Frame by frame and band by band, in float64, from the formulas."""
    hann = np.sin(np.pi * np.arange(WINDOW) / WINDOW) ** 2
    time, frequency = np.arange(WINDOW), np.arange(WINDOW // 2 + 1)
    fourier = np.exp(-2j * np.pi * np.outer(time, frequency) / WINDOW)
    edges = [hertz_of(mel) for mel in np.linspace(0, mel_of(RATE / 2), BANDS + 2)]
    energies = np.zeros((SAMPLES // HOP, BANDS))
    for frame in range(SAMPLES // HOP):
        # A frame and its hop have the same centre; outside the clip there is silence.
        at = frame * HOP + HOP // 2 - WINDOW // 2 + time
        inside = (at >= 0) & (at < SAMPLES)
        samples = np.where(inside, waveform[np.clip(at, 0, SAMPLES - 1)], 0.0)
        power = np.abs((samples * hann) @ fourier / hann.sum()) ** 2
        for band in range(BANDS):
            low, middle, high = edges[band : band + 3]
            triangle = np.interp(frequency * RATE / WINDOW, [low, middle, high], [0, 1, 0])
            energies[frame, band] = power @ triangle
    return np.log(energies.reshape(STRETCHES, -1, BANDS).mean(1) + FLOOR)


def mel_of(hertz: float) -> float:
    return hertz * 3 / 200 if hertz < 1000 else 15 + np.log(hertz / 1000) / (np.log(6.4) / 27)


def hertz_of(mel: float) -> float:
    return mel * 200 / 3 if mel < 15 else 1000 * np.exp((mel - 15) * np.log(6.4) / 27)


def test_latents_agree_with_the_definition() -> None:
    rng = np.random.default_rng(0)
    decay = np.exp(-np.arange(SAMPLES) / RATE)
    waveform = 0.3 * decay * (sine(220) + sine(660)) + 0.01 * rng.standard_normal(SAMPLES)
    encoded = LogMel().encode(waveform[None].astype(np.float32))
    assert encoded.shape == (1, 8, 128)
    assert encoded.dtype == np.float32
    np.testing.assert_allclose(encoded[0], by_definition(waveform), atol=2e-4)


def test_the_mel_filters_agree_with_the_definition() -> None:
    edges = [hertz_of(mel) for mel in np.linspace(0, mel_of(RATE / 2), BANDS + 2)]
    bins = np.arange(WINDOW // 2 + 1) * RATE / WINDOW
    expected = [np.interp(bins, edges[band : band + 3], [0, 1, 0]) for band in range(BANDS)]
    np.testing.assert_allclose(logmel.mel_filters(), np.transpose(expected), atol=1e-6)


def test_the_mel_filters_are_to_the_bit_those_that_the_fingerprint_stands_for() -> None:
    used = b"".join(array.tobytes() for array in logmel._sparse_filters())
    assert hashlib.sha256(used).hexdigest() == (
        "02150b14879b25694796b245030a1ed9825d0d062a83dead1e1d263a5fdf7a5e"
    )
    assert LogMel().fingerprint == (
        "717c89ce10d2dbd746a8c792d4a022dc5c544a3885dee56431d5d346b89da884"
    )


def test_every_band_has_a_filter() -> None:
    assert (logmel.mel_filters().max(0) > 0.3).all()


@pytest.mark.parametrize("hertz", [110, 440, 1_760, 4_186])
def test_a_sine_lights_the_band_of_its_frequency(hertz: int) -> None:
    loudest = LogMel().encode(sine(hertz)[None])[0].argmax(-1)
    expected = mel_of(hertz) / mel_of(RATE / 2) * (BANDS + 1) - 1
    assert np.abs(loudest - expected).max() <= 1


def test_silence_is_the_floor() -> None:
    silence = LogMel().encode(np.zeros((2, SAMPLES), np.float32))
    np.testing.assert_allclose(silence, np.log(FLOOR), rtol=1e-6)


def test_ten_times_the_level_adds_the_same_to_every_loud_band() -> None:
    noise = np.random.default_rng(1).standard_normal(SAMPLES).astype(np.float32)
    quiet, loud = LogMel().encode(np.stack([0.01 * noise, 0.1 * noise]))
    np.testing.assert_allclose(loud - quiet, np.log(100), atol=1e-3)


def test_a_burst_shows_in_its_own_stretch() -> None:
    burst = np.zeros(SAMPLES, np.float32)
    middle_of_the_sixth = int(5.5 * SAMPLES / STRETCHES)
    burst[middle_of_the_sixth : middle_of_the_sixth + 500] = sine(1_000)[:500]
    latents = LogMel().encode(burst[None])[0]
    assert latents.max(-1).argmax() == 5
    np.testing.assert_allclose(np.delete(latents, 5, axis=0), np.log(FLOOR), rtol=1e-6)


def test_a_clip_does_not_depend_on_the_others() -> None:
    clips = np.stack([sine(110), sine(220), sine(440)])
    together = LogMel().encode(clips)
    np.testing.assert_array_equal(together[1:2], LogMel().encode(clips[1:2]))


@pytest.mark.parametrize("shape", [(SAMPLES,), (1, SAMPLES - 1), (1, 1, SAMPLES)])
def test_waveforms_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"logmel takes waveforms \(N, 64000\), not"):
        LogMel().encode(np.zeros(shape, np.float32))


@pytest.mark.parametrize("setting", ["VERSION", "FLOOR", "HOP", "WINDOW"])
def test_every_setting_is_in_the_fingerprint(setting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = LogMel().fingerprint
    monkeypatch.setattr(logmel, setting, getattr(logmel, setting) * 2)
    assert LogMel().fingerprint != before
