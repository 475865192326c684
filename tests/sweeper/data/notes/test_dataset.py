from __future__ import annotations

import numpy as np
import pytest

from sweeper.data import make_dataset
from sweeper.data.clips import FAMILIES, LOWEST_PITCH, SPLITS, Clips
from sweeper.data.notes import soundfont
from sweeper.data.notes.dataset import HELD_OUT, PROGRAMS, Notes
from sweeper.data.notes.render import render
from sweeper.errors import SweeperError
from sweeper.study.config import DataConfig


@pytest.fixture(scope="module")
def notes() -> Notes:
    return Notes(DataConfig())


@pytest.fixture(scope="module")
def candidates(notes: Notes) -> dict[str, Clips]:
    return {split: notes.candidates(split) for split in SPLITS}


def triples(clips: Clips) -> set[tuple[int, ...]]:
    rows = zip(clips.program, clips.pitch, clips.velocity, strict=True)
    return {tuple(int(value) for value in row) for row in rows}


def test_programs_held_out_are_never_seen_in_training_or_validation(
    candidates: dict[str, Clips],
) -> None:
    unseen = set(candidates["downstream"].program.tolist())
    for split in ("train", "valid"):
        assert not unseen & set(candidates[split].program.tolist())
    assert unseen == {program for programs in HELD_OUT.values() for program in programs}


def test_every_family_keeps_two_programs_for_the_probes_and_trains_on_three_or_more() -> None:
    for family, programs in PROGRAMS.items():
        assert len(HELD_OUT[family]) == 2 and set(HELD_OUT[family]) < set(programs)
        assert len(programs) >= 5


def test_no_clip_is_a_candidate_of_two_splits_and_none_is_lost(
    candidates: dict[str, Clips],
) -> None:
    sets = [triples(clips) for clips in candidates.values()]
    assert sum(map(len, sets)) == len(set().union(*sets)) == 81 * 88 * 5


@pytest.mark.parametrize("split", SPLITS)
def test_every_split_has_every_family_and_pitch(candidates: dict[str, Clips], split: str) -> None:
    assert len(np.unique(candidates[split].stratum)) == len(FAMILIES) * 88


def test_candidates_are_shared_between_training_and_validation_as_the_clips_asked_for(
    candidates: dict[str, Clips],
) -> None:
    train, valid = len(candidates["train"]), len(candidates["valid"])
    assert valid / (train + valid) == pytest.approx(1 / 3, abs=0.01)


def test_programs_keep_to_the_families_of_general_midi(candidates: dict[str, Clips]) -> None:
    clips = candidates["train"]
    for program, family in ((0, "keyboard"), (24, "guitar"), (40, "string"), (73, "flute")):
        assert set(clips.family[clips.program == program]) == {FAMILIES.index(family)}


def test_labels_tell_what_is_rendered(notes: Notes, dry_font: bytes) -> None:
    clips = notes.candidates("train").take(np.array([3, 5_000]))
    played = zip(clips.program, clips.pitch + LOWEST_PITCH, clips.velocity, strict=True)
    expected = render(dry_font, [tuple(map(int, note)) for note in played])
    np.testing.assert_array_equal(notes.waveforms(clips), expected)


def test_a_soundfont_without_some_family_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    notes = Notes(DataConfig())
    monkeypatch.setattr(soundfont, "programs", lambda font: set(range(52)))
    with pytest.raises(SweeperError, match="lacks General MIDI programs for brass, flute, reed"):
        notes.candidates("train")


def test_an_unknown_dataset_is_refused_with_the_known_names() -> None:
    with pytest.raises(SweeperError, match="unknown dataset 'mnist'; choose one of notes"):
        make_dataset(DataConfig(dataset="mnist"))
