"""Recordings of one's own in every form, good and bad."""

from __future__ import annotations

import csv
import logging
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from sweeper.api import open as open_sweep
from sweeper.data import make_dataset
from sweeper.data.clips import LOWEST_PITCH, SPLITS, Clips
from sweeper.data.latents import fingerprint, prepare
from sweeper.errors import SweeperError
from sweeper.study.config import DataConfig
from tests.sweeper.cli.conftest import Sweeper, sweeper

__all__ = ["sweeper"]

DATA = DataConfig("folder", train_clips=24, valid_clips=8, downstream_clips=24)
FAMILIES = ("bells", "kazoo", "Ölfass")
# Of the files in turn: ending, rate, channels, subtype, and how far from the plain wav's each
# standardised latent may be, on average.
FORMS = (
    ("wav", 22_050, 1, "PCM_24", 0.05),
    ("flac", 44_100, 2, "PCM_16", 0.05),
    ("mp3", 44_100, 2, None, 0.2),
    ("ogg", 48_000, 1, None, 0.2),
    ("wav", 96_000, 3, "FLOAT", 0.05),
    ("mp3", 48_000, 1, None, 0.2),
    ("wav", 16_000, 2, "PCM_U8", 0.2),
)
PLAIN = (("wav", 16_000, 1, "PCM_16", 0.0),)
HEAD = ("path", "pitch", "family", "instrument")
SECONDS = (2.5, 4, 5.2)  # of the files in turn
PERIOD = 6


def tone(pitch: int, overtone: int, rate: int, seconds: float) -> np.ndarray:
    """The same at every rate: a note and its overtone, and noise that no coder takes for none."""
    rng = np.random.default_rng([pitch, overtone])
    spectrum = np.zeros(PERIOD * rate // 2 + 1, np.complex128)
    spectrum[: PERIOD * 7_800] = 3e-4 * np.exp(2j * np.pi * rng.random(PERIOD * 7_800))
    fundamental = PERIOD * 440 * 2 ** ((pitch - 69) / 12)
    spectrum[[round(fundamental), round(overtone * fundamental)]] = 0.1
    return np.fft.irfft(spectrum, norm="forward")[: int(seconds * rate)]


def write(root: Path, forms: Sequence[tuple[Any, ...]]) -> Path:
    """Six pitches of three instruments of three families."""
    (root / "sounds").mkdir(parents=True)
    rows = []
    for number in range(54):
        family, player, pitch = number % 3, number // 3 % 3, 50 + number // 9
        ending, rate, channels, subtype, _ = forms[number % len(forms)]
        sound = tone(pitch, 2 + family, rate, SECONDS[number % 3])
        name = f"sounds/{number:02}.{ending}"
        soundfile.write(root / name, np.stack([sound] * channels, 1), rate, subtype)
        rows.append((name, pitch, FAMILIES[family], f"no. {player}"))
    return listed(root, rows)


def number(clips: Clips) -> np.ndarray:
    """(N,) which of the files of `write` these are, by their labels."""
    player = clips.program - 3 * clips.family
    return 9 * (clips.pitch + LOWEST_PITCH - 50) + 3 * player + clips.family


def listed(root: Path, rows: Sequence[Sequence[object]], head: Sequence[str] = HEAD) -> Path:
    root.mkdir(exist_ok=True)
    with (root / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([head, *rows])
    return root


def relisted(root: Path) -> list[list[str]]:
    """The lines of a labels.csv, fit for another place."""
    with (root / "labels.csv").open(newline="", encoding="utf-8") as file:
        return [[str(root / name), *rest] for name, *rest in list(csv.reader(file))[1:]]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """To be read, never changed."""
    return write(tmp_path_factory.mktemp("folder") / "plain", PLAIN)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same sounds in many forms; to be read, never changed."""
    return write(tmp_path_factory.mktemp("folder") / "mixed", FORMS)


# Audio


def test_a_file_of_any_form_gives_the_latents_of_its_plain_wav(plain: Path, mixed: Path) -> None:
    expected, found = (prepare(DATA, workers=1, source=root) for root in (plain, mixed))
    assert found.fingerprint != expected.fingerprint
    assert found.families == FAMILIES
    for split in SPLITS:
        columns = (latents.labels[split].columns for latents in (found, expected))
        for its, own in zip(*columns, strict=True):
            np.testing.assert_array_equal(its, own)
        apart = np.abs(found.split(split).astype(float) - expected.split(split)).mean(axis=(1, 2))
        limit = np.array([form[-1] for form in FORMS])[number(found.labels[split]) % len(FORMS)]
        assert (apart < limit).all()


def test_wav_files_of_the_encoders_rate_are_taken_bit_for_bit(plain: Path) -> None:
    dataset = pickle.loads(pickle.dumps(make_dataset(DATA, plain)))
    for split in SPLITS:
        clips = dataset.candidates(split).take(np.array([3, 0]))
        for file, waveform in zip(number(clips), dataset.waveforms(clips), strict=True):
            sound, _ = soundfile.read(plain / f"sounds/{file:02}.wav", dtype="float32")
            kept = min(len(sound), 64_000)
            np.testing.assert_array_equal(waveform[:kept], sound[:kept])
            assert waveform.shape == (64_000,) and not waveform[kept:].any()


def test_a_byte_of_audio_that_changes_changes_the_latents_identity(tmp_path: Path) -> None:
    for name in "ab":
        soundfile.write(tmp_path / f"{name}.wav", tone(60, 2, 16_000, 4), 16_000)
    listed(tmp_path, [("a.wav", 60, "one"), ("b.wav", 60, "two")], HEAD[:3])
    before = fingerprint(DATA, tmp_path)
    assert fingerprint(DATA, tmp_path) == before
    raw = bytearray((tmp_path / "a.wav").read_bytes())
    raw[5_000] ^= 1
    (tmp_path / "a.wav").write_bytes(raw)
    assert fingerprint(DATA, tmp_path) != before


# Splits


def test_every_split_has_every_family_and_downstream_instruments_to_itself(plain: Path) -> None:
    dataset = make_dataset(DATA, plain)
    train, valid, downstream = (dataset.candidates(split) for split in SPLITS)
    assert [len(train), len(valid), len(downstream)] == [27, 9, 18]
    assert set(downstream.program).isdisjoint({*train.program, *valid.program})
    for clips in (train, valid, downstream):
        assert set(clips.family) == {0, 1, 2}


def test_files_without_instruments_are_divided_along_the_pitches(
    plain: Path, tmp_path: Path
) -> None:
    root = listed(tmp_path, [line[:3] for line in relisted(plain)], HEAD[:3])
    train, valid, downstream = (make_dataset(DATA, root).candidates(split) for split in SPLITS)
    assert [len(train), len(valid), len(downstream)] == [23, 7, 24]
    assert set(downstream.pitch) == set(train.pitch) == set(range(29, 35))


def test_splits_that_are_given_stand(plain: Path, tmp_path: Path) -> None:
    names = {"no. 0": "train", "no. 1": "valid", "no. 2": "test"}
    rows = [[*line, names[line[3]]] for line in relisted(plain)]
    dataset = make_dataset(DATA, listed(tmp_path, rows, ("file", *HEAD[1:], "part")))
    for player, split in enumerate(SPLITS):
        clips = dataset.candidates(split)
        assert len(clips) == 18 and set(clips.program % 3) == {player}
    some = [[*line[:4], line[4].replace("valid", "train")] for line in rows]
    dataset = make_dataset(DATA, listed(tmp_path, some, (*HEAD, "split")))
    assert [len(dataset.candidates(split)) for split in SPLITS] == [27, 9, 18]


def test_silent_files_and_rare_classes_are_told_with_their_counts(
    plain: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    soundfile.write(tmp_path / "silent.flac", np.zeros((9_000, 2)), 8_000)
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 16_000)
    more = [("silent.flac", 50, "kazoo", "no. 2"), ("empty.wav", 50, "kazoo", "no. 2")]
    odd = [[relisted(plain)[0][0], "90", "tuba", "no. 0"]]
    root = listed(tmp_path, [*relisted(plain)[1:], *more, *odd])
    with caplog.at_level(logging.WARNING):
        dataset = make_dataset(DATA, root)
        assert sum(len(dataset.candidates(split)) for split in SPLITS) == 54
    silent, families, pitches = caplog.messages
    assert silent == f"{root}: 2 silent files left out; first empty.wav"
    assert families.endswith("1 families too rare to say much of (train, downstream): tuba (1, 0)")
    assert pitches.endswith(
        "2 pitches too rare to say much of (train, downstream): 50 (6, 2), 90 (1, 0)"
    )


# Bad input

A, B = ("a.wav", "60", "one", "x"), ("b.wav", "61", "two", "y")
SPLIT = (*HEAD, "split")
BAD: dict[str, tuple[list[Sequence[str]], str]] = {
    "unknown column": ([(*HEAD, "velocty")], "unknown column 'velocty'; did you mean 'velocity'?"),
    "no family": ([("path", "pitch")], "lacks the columns family"),
    "two paths": ([("path", "file", "pitch", "family")], "two columns for path; keep one"),
    "no line": ([HEAD], "lists no file"),
    "empty": ([], "lacks the columns path, pitch, family"),
    "pitch of no piano": ([HEAD, A, ("b.wav", "20", "two", "")], "line 3: pitch '20'; a MIDI"),
    "pitch by name": ([HEAD, ("a.wav", "C4", "one", "")], "line 2: pitch 'C4'; a MIDI number from"),
    "half a pitch": ([HEAD, ("a.wav", "60.5", "one", "")], "line 2: pitch '60.5'"),
    "no family told": ([HEAD, ("a.wav", "60", " ", "")], "line 2: no family"),
    "comma": ([HEAD, (*A, "z")], "line 2: more cells than there are columns"),
    "loud": ([(*HEAD, "velocity"), (*A, "128")], "line 2: velocity '128'"),
    "listed twice": ([HEAD, A, B, A], "line 4: a.wav is listed twice"),
    "split of no name": ([SPLIT, (*A, "dev")], "line 2: split 'dev'; choose one of train, valid"),
    "split here and there": ([SPLIT, (*A, "train"), (*B, "")], "b.wav has no split"),
    "nothing to test on": ([SPLIT, (*A, "train"), (*B, "valid")], "no file the split downstream"),
    "instrument on both sides": (
        [SPLIT, (*A, "train"), ("b.wav", "61", "one", "x", "test"), ("c.wav", *B[1:], "test")],
        "the instrument x is in training and downstream",
    ),
    "one family": ([HEAD, A, ("b.wav", "61", "one", "y")], "one family only, one; two are needed"),
    "no such file": ([HEAD, A, B, ("c.wav", *B[1:])], "there is no file"),
    "no audio": ([HEAD, A, B, ("d.mp3", *B[1:])], "d.mp3 is no audio that can be read, or damaged"),
    "raw samples": ([HEAD, A, B, ("d.raw", *B[1:])], "d.raw is no audio that can be read"),
    "a directory": ([HEAD, A, B, (".", *B[1:])], "there is no file"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_with_labels_or_files_is_told_in_one_line(name: str, tmp_path: Path) -> None:
    rows, says = BAD[name]
    for sound in "ab":
        soundfile.write(tmp_path / f"{sound}.wav", tone(60, 2, 16_000, 0.1), 16_000)
    for ending in ("mp3", "raw"):
        (tmp_path / f"d.{ending}").write_text("no audio")
    listed(tmp_path, rows[1:], rows[0] if rows else ())
    with pytest.raises(SweeperError) as caught:
        fingerprint(DATA, tmp_path)
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_what_only_listening_tells_is_told_before_anything_is_made(
    tmp_path: Path, cache_of_its_own: Path
) -> None:
    for name, peak in (("a", 0.5), ("b", 0.5), ("silent", 0.0), ("nan", np.nan)):
        sound = np.full(16_000, peak, np.float32)
        soundfile.write(tmp_path / f"{name}.wav", sound, 16_000, "FLOAT")
    for other, says in (("nan", "nan.wav holds samples that"), ("silent", "leaves no valid clips")):
        listed(tmp_path, [A, B, (f"{other}.wav", *B[1:])])
        with pytest.raises(SweeperError, match=says):
            prepare(DATA, workers=1, source=tmp_path)
        assert not [path for path in cache_of_its_own.rglob("*.npy") if path.stat().st_size]


@pytest.mark.parametrize(
    ("root", "says"),
    [
        (None, "needs --data-root DIR"),
        (".", "has no labels.csv; write one with the columns path"),
        ("nowhere", "no directory nowhere; check --data-root"),
    ],
)
def test_a_folder_that_is_none_is_told(
    root: str | None, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SweeperError, match=says):
        make_dataset(DATA, None if root is None else Path(root))


# A study

GRID = """
principles = ["InfoNCE"]
objectives = ["SIM+SEP"]
lambdas = [0.6]
baselines = ["encoder"]
[data]
train_clips = 20
valid_clips = 16
downstream_clips = 18
[study.tasks]
pitch = "private"
instrument = "shared"
room = "private"
"""


def test_a_study_of_ones_own_recordings_and_factors_ends_in_results(
    mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sweeper: Sweeper
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sweeper.data.latents._cores", lambda: 1)
    Path("own.toml").write_text(GRID)
    rows = [
        [*line, ("hall", "booth")[place // 2 % 2], "hoarse" * (place == 3)]
        for place, line in enumerate(relisted(mixed))
    ]
    own = listed(tmp_path / "own", rows, (*HEAD, "room", "remarks"))
    assert make_dataset(DATA, own).factors == ("pitch", "instrument", "room")
    options = ("--preset", "smoke", "--dataset", "folder", "--data-root", str(own))
    assert sweeper("grid", "check", "own.toml", *options)[0] == 0
    how = ("--grid", "own.toml", "--device", "cpu", "--executor", "inline", "--db", "own.db")
    code, out, err = sweeper("launch", *how, *options)
    assert code == 0, out + err
    assert "2 of 2 cells finished" in out
    code, out, err = sweeper("export", "--db", "own.db", "--out", "cells.csv")
    assert code == 0, err
    with Path("cells.csv").open() as file:
        cells = list(csv.DictReader(file))
    assert {(cell["dataset"], cell["state"]) for cell in cells} == {("folder", "finished")}
    assert all(float(cell["room_overall"]) >= 0 for cell in cells)
    assert cells[0]["delta_room"] and not cells[1]["delta_room"]
    assert set(open_sweep("own.db").latents()[1]["room"]) == {0, 1}
