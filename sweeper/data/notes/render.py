"""From notes to waveforms, many notes in one MIDI file.

The renderer loads the SoundFont at every call and runs its reverb and chorus whether they are
wanted or not. So notes are rendered many to a file, and two at a time: one in the left channel,
one in the right. Nothing passes from note to note: see `soundfont.dry`.
"""

from __future__ import annotations

import functools
import io
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweeper.errors import SweeperError

SAMPLE_RATE = 16_000
CLIP_SECONDS = 4
HOLD_SECONDS = 3

RENDERER_RATE = 48_000
FACTOR = RENDERER_RATE // SAMPLE_RATE
WAV_HEADER = 44

# The renderer looks for events once in a block of 64 samples. At two ticks a block, an event one
# tick early is found at the very block that we mean, whatever its clock's rounding.
TICKS_PER_SECOND = 2 * RENDERER_RATE // 64
PAN_COARSE, PAN_FINE, REVERB, CHORUS, ALL_SOUND_OFF = 10, 42, 91, 93, 120

# Low-pass before decimation: Kaiser window, -70 dB from 8.2 kHz on.
REACH = 64
CUTOFF = 7_400
KAISER_BETA = 6.76
BLOCK = 32

Note = tuple[int, int, int]  # program, pitch, velocity


def render(dry_font: bytes, notes: Sequence[Note]) -> NDArray[np.float32]:
    """Waveforms (N, CLIP_SECONDS · SAMPLE_RATE) of N notes, mono, full scale 1.

    Raises:
        SweeperError: the renderer cannot use the SoundFont.
    """
    wav = _stereo(dry_font, midi_file(notes))
    pairs = (len(notes) + 1) // 2
    samples = np.frombuffer(wav, "<i2", pairs * 2 * CLIP_SECONDS * RENDERER_RATE, WAV_HEADER)
    channels = [channel for pair in samples.reshape(pairs, -1, 2) for channel in pair.T]
    return decimate(channels[: len(notes)])


def _stereo(dry_font: bytes, midi: bytes) -> bytes:
    import midirenderer

    try:
        return bytes(midirenderer.render_wave_from(dry_font, midi))
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a panic of the Rust code is no Exception
        raise SweeperError(f"cannot render with this SoundFont ({error}); give another") from None


def midi_file(notes: Sequence[Note]) -> bytes:
    """A MIDI file that plays notes 2i and 2i + 1 together, hard left and hard right, at 4i s."""
    import mido  # type: ignore[import-untyped]

    track = mido.MidiTrack()
    now = 0
    for tick, message in _events(notes):
        track.append(message.copy(time=tick - now))
        now = tick
    file = mido.MidiFile(type=0, ticks_per_beat=TICKS_PER_SECOND, tracks=[track])
    file.save(file=(stream := io.BytesIO()))
    return stream.getvalue()


def _events(notes: Sequence[Note]) -> Iterator[tuple[int, Any]]:
    """Ticks and messages, in time's order."""
    from mido import Message, MetaMessage

    yield 0, MetaMessage("set_tempo", tempo=1_000_000)  # one beat is one second
    for channel, control in itertools.product((0, 1), (REVERB, CHORUS, PAN_COARSE, PAN_FINE)):
        value = 127 * channel if control in (PAN_COARSE, PAN_FINE) else 0
        yield 0, Message("control_change", channel=channel, control=control, value=value)
    clip = CLIP_SECONDS * TICKS_PER_SECOND
    for start in range(0, len(notes), 2):
        begin = start // 2 * clip
        pair = list(enumerate(notes[start : start + 2]))
        for channel, (program, pitch, velocity) in pair:
            on = max(begin - 1, 0)
            yield on, Message("control_change", channel=channel, control=ALL_SOUND_OFF)
            yield on, Message("program_change", channel=channel, program=program)
            yield on, Message("note_on", channel=channel, note=pitch, velocity=velocity)
        for channel, (_, pitch, _) in pair:
            off = begin + HOLD_SECONDS * TICKS_PER_SECOND - 1
            yield off, Message("note_off", channel=channel, note=pitch)
    # One tick too many: the renderer cuts the file at its last event, rounded down.
    yield (len(notes) + 1) // 2 * clip + 1, Message("control_change", control=ALL_SOUND_OFF)


def decimate(clips: Sequence[NDArray[np.int16]]) -> NDArray[np.float32]:
    """Low-pass, keep every third sample: N clips of 3S 16-bit samples -> (N, S), full scale 1."""
    matrix = _decimation_matrix()
    padded = np.zeros(len(clips[0]) + 2 * REACH, np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(padded, len(matrix))[:: FACTOR * BLOCK]
    decimated = np.empty((len(clips), len(clips[0]) // FACTOR), np.float32)
    for clip, out in zip(clips, decimated, strict=True):
        padded[REACH:-REACH] = clip
        np.matmul(np.ascontiguousarray(windows), matrix, out=out.reshape(-1, BLOCK))
    return decimated


@functools.cache
def _decimation_matrix() -> NDArray[np.float32]:
    """From a window of samples to BLOCK decimated ones: a convolution as one matrix product."""
    reach = np.arange(-REACH, REACH + 1)
    cutoff = 2 * CUTOFF / RENDERER_RATE
    taps = cutoff * np.sinc(cutoff * reach) * np.kaiser(len(reach), KAISER_BETA)
    matrix = np.zeros((FACTOR * (BLOCK - 1) + len(taps), BLOCK))
    for column in range(BLOCK):
        matrix[FACTOR * column : FACTOR * column + len(taps), column] = taps / taps.sum() / 2**15
    return matrix.astype(np.float32)
