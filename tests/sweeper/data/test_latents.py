from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from models.encoders import logmel
from sweeper.data import cache, latents
from sweeper.data.cache import PARTS_FILE, CorruptCacheError, Latents
from sweeper.data.clips import SPLITS, Clips
from sweeper.data.latents import fingerprint, open_latents, prepare, probe_parts
from sweeper.data.notes import dataset as notes
from sweeper.data.notes import render, soundfont
from sweeper.errors import SweeperError
from sweeper.study.config import DataConfig
from tests.sweeper.data.conftest import TINY

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def cached(built: Path, cache_of_its_own: Path) -> Path:
    """The directory of TINY's latents, in a cache that may be changed."""
    shutil.copytree(built, cache_of_its_own)
    return cache.directory(fingerprint(TINY))


@pytest.fixture
def no_rendering(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("rendered again")

    monkeypatch.setattr(latents, "build", fail)


def is_as_written(latents: Latents) -> bool:
    """Whether every file is of the size and checksum that were noted when it was written."""
    files = json.loads((latents.path / "meta.json").read_text())["files"]
    return all(
        hashlib.sha256((latents.path / name).read_bytes()).hexdigest() == file["sha256"]
        for name, file in files.items()
    )


# Identity


def test_the_fingerprint_is_the_same_twice_and_renders_nothing(no_rendering: None) -> None:
    assert fingerprint(TINY) == fingerprint(dataclasses.replace(TINY, fingerprint="ab"))
    assert len(fingerprint(TINY)) == 64


@pytest.mark.parametrize("field", ["train_clips", "valid_clips", "downstream_clips"])
def test_a_split_of_another_size_changes_the_fingerprint(field: str) -> None:
    larger = dataclasses.replace(TINY, **{field: getattr(TINY, field) + 1})
    assert fingerprint(larger) != fingerprint(TINY)


@pytest.mark.parametrize(
    ("module", "constant", "value"),
    [
        (notes, "VERSION", -1),
        (notes, "DATA_SEED", 1),
        (notes, "VELOCITIES", (64,)),
        (notes, "HELD_OUT", {**notes.HELD_OUT, "organ": (16, 17)}),
        (render, "HOLD_SECONDS", 2),
        (render, "CUTOFF", 7_000),
        (latents, "VERSION", -1),
        (latents, "DRAW_SEED", 1),
        (latents, "SILENT", 1e-2),
        (latents, "PART_SEED", 1),
        (latents, "PART_SHARES", {"note": (0.8, 0.1, 0.1)}),
        (logmel, "VERSION", -1),
        (logmel, "FLOOR", 1e-9),
        (logmel, "WINDOW", 1_024),
    ],
)
def test_every_constant_of_the_recipe_is_in_the_fingerprint(
    module: object, constant: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = fingerprint(TINY)
    monkeypatch.setattr(module, constant, value)
    assert fingerprint(TINY) != before


def test_the_renderers_version_is_in_the_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprint(TINY)
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "99")
    assert fingerprint(TINY) != before


def test_every_byte_of_the_soundfont_is_in_the_fingerprint(tmp_path: Path) -> None:
    font = bytearray(soundfont.load())
    same, other = tmp_path / "same.sf2", tmp_path / "other.sf2"
    same.write_bytes(font)
    font[3_000_000] ^= 1
    other.write_bytes(font)
    assert fingerprint(TINY, same) == fingerprint(TINY)
    assert fingerprint(TINY, other) != fingerprint(TINY)


# Making


def test_prepared_latents_are_what_was_asked_for(cached: Path, no_rendering: None) -> None:
    made = prepare(TINY)
    assert made.path == cached
    assert made.shape == (8, 128)
    assert made.pool == "flatten"
    for split, clips in zip(SPLITS, (40, 20, 40), strict=True):
        assert made.split(split).shape == (clips, 8, 128)
        assert made.split(split).dtype == np.float16
        assert isinstance(made.split(split), np.memmap)
        assert np.isfinite(made.split(split)).all()
        assert len(made.labels[split]) == clips
        assert np.bincount(made.labels[split].family).tolist() == [clips // 10] * 10
    assert np.bincount(made.parts).tolist() == [20, 4, 16]


def test_the_summary_counts_clips_and_is_json(cached: Path) -> None:
    summary = json.loads(json.dumps(open_latents(TINY).summary()))
    assert summary["families"]["vocal"] == {"train": 4, "valid": 2, "downstream": 4}
    assert summary["downstream_parts"] == {"train": 20, "validation": 4, "test": 16}
    assert summary["shapes"]["valid"] == [20, 8, 128]
    assert summary["bytes"] > 2 * 100 * 8 * 128
    assert summary["key"] == cached.name
    lowest, highest = summary["pitch_range"]
    assert 21 <= lowest < 40 < 90 < highest <= 108


def test_two_workers_make_the_same_bytes_as_one(cached: Path) -> None:
    before = json.loads((cached / "meta.json").read_text())
    shutil.rmtree(cached)
    reports: list[tuple[int, int, str]] = []
    prepare(TINY, workers=2, progress=lambda *report: reports.append(report))
    assert json.loads((cached / "meta.json").read_text()) == before
    assert reports[-1][:2] == (100, 100)


def test_latents_are_opened_by_their_fingerprint_where_there_is_no_soundfont(
    cached: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = dataclasses.replace(TINY, fingerprint=fingerprint(TINY))
    monkeypatch.setenv("SWEEPER_SOUNDFONT", "/nowhere.sf2")
    assert open_latents(wanted).fingerprint == cached.name


def test_latents_that_this_machine_would_make_otherwise_are_refused() -> None:
    with pytest.raises(SweeperError, match="wants latents 000000000000…, this machine makes"):
        prepare(dataclasses.replace(TINY, fingerprint="0" * 64))


def test_latents_that_nobody_made_are_not_opened() -> None:
    with pytest.raises(SweeperError, match="run `sweeper data prepare`"):
        open_latents(TINY)


def test_an_unknown_encoder_is_refused_with_the_known_names() -> None:
    with pytest.raises(SweeperError, match="unknown encoder 'vggish'; choose one of logmel"):
        prepare(DataConfig(encoder="vggish"))


def test_an_empty_split_is_refused() -> None:
    with pytest.raises(SweeperError, match="0 valid clips asked for"):
        prepare(DataConfig(valid_clips=0))


def test_more_clips_than_there_are_notes_are_refused_before_any_is_rendered(
    cache_of_its_own: Path,
) -> None:
    with pytest.raises(SweeperError, match=r"9000 downstream clips .* ask for at most 8800"):
        prepare(DataConfig(downstream_clips=9_000), workers=1)
    assert [path.suffix for path in (cache_of_its_own / "latents").iterdir()] == [".lock"]


def of_notes(notes: int, velocities: int) -> Clips:
    """Every note at every velocity."""
    rng = np.random.default_rng(0)
    note = np.repeat(np.arange(notes), velocities)
    pitch, family = rng.integers(0, 88, notes), rng.integers(0, 10, notes)
    velocity = np.tile(np.arange(velocities), notes)
    return Clips(pitch[note], family[note], note, velocity)


def test_no_clip_is_tested_on_a_note_that_the_probes_were_trained_on() -> None:
    clips = of_notes(880, 5)
    parts = {split: probe_parts(clips, split) for split in ("note", "clip")}
    trained = {split: clips.program[parts[split] == 0] for split in parts}
    twins = {
        split: np.isin(clips.program[parts[split] == 2], trained[split]).mean() for split in parts
    }
    assert twins["note"] == 0
    assert twins["clip"] > 0.9  # the old division: a test that could not fail would be none
    assert np.bincount(parts["note"]).tolist() == [2_200, 440, 1_760]


def test_the_division_by_note_is_stratified_by_pitch_and_family() -> None:
    clips = of_notes(1_760, 3)
    parts = probe_parts(clips, "note")
    for labels, tolerance in ((clips.family, 0.02), (clips.pitch, 0.2)):
        for value in np.unique(labels):
            shares = np.bincount(parts[labels == value], minlength=3) / (labels == value).sum()
            assert np.abs(shares - (0.5, 0.1, 0.4)).max() < tolerance


# Damage


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def flip_in(name: str, path: Path) -> None:
    flip(path / name)


FILES = [*(f"{split}{kind}.npy" for split in SPLITS for kind in ("", ".labels")), PARTS_FILE]
DAMAGE: dict[str, Callable[[Path], object]] = {
    "latents cut short": lambda path: cut(path / "train.npy"),
    "latents missing": lambda path: (path / "downstream.npy").unlink(),
    "labels missing": lambda path: (path / "valid.labels.npy").unlink(),
    **{f"{name} altered": partial(flip_in, name) for name in FILES},
    "meta missing": lambda path: (path / "meta.json").unlink(),
    "meta cut short": lambda path: cut(path / "meta.json"),
    "meta empty": lambda path: (path / "meta.json").write_text(""),
    "meta nested too deep": lambda path: (path / "meta.json").write_text("[" * 100_000),
    "meta of something else": lambda path: (path / "meta.json").write_text("[]"),
    "meta of other latents": lambda path: (path / "meta.json").write_text('{"fingerprint": "a"}'),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_cache_is_reported_in_one_line(cached: Path, damage: str) -> None:
    DAMAGE[damage](cached)
    with pytest.raises(CorruptCacheError, match=r"^the latents in .* are damaged \(.+\); `sw.*$"):
        open_latents(TINY)


@pytest.mark.parametrize("damage", ["latents cut short", "meta empty", "downstream.npy altered"])
def test_a_damaged_cache_is_made_anew(cached: Path, damage: str) -> None:
    DAMAGE[damage](cached)
    assert is_as_written(prepare(TINY, workers=1))


def test_latents_from_before_there_were_checksums_are_taken_as_they_are(cached: Path) -> None:
    meta = json.loads((cached / "meta.json").read_text())
    for file in meta["files"].values():
        del file["sha256"]
    (cached / "meta.json").write_text(json.dumps(meta))
    assert open_latents(TINY).fingerprint == cached.name


def test_what_a_killed_process_left_behind_is_cleared_away(cache_of_its_own: Path) -> None:
    partial = cache_of_its_own / "latents" / f"{fingerprint(TINY)}.partial"
    partial.mkdir(parents=True)
    (partial / "train.npy").write_text("half")
    with pytest.raises(SweeperError, match="run `sweeper data prepare`"):
        open_latents(TINY)
    prepare(TINY, workers=1)
    assert not partial.exists()


def test_a_full_disk_is_refused_at_once_and_leaves_nothing(
    cache_of_its_own: Path, monkeypatch: pytest.MonkeyPatch, no_rendering: None
) -> None:
    usage = shutil.disk_usage("/")._replace(free=1_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(SweeperError, match=r"cannot write the latents .* MiB free; make room"):
        prepare(TINY, workers=1)
    assert [path.suffix for path in (cache_of_its_own / "latents").iterdir()] == [".lock"]


FILLING_UP = """
import resource, sys
from sweeper.data.latents import prepare
from sweeper.errors import SweeperError
from tests.sweeper.data.conftest import TINY
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    prepare(TINY, workers=1)
except SweeperError as error:
    print(error)
"""


def test_a_disk_that_fills_up_while_writing_leaves_nothing(cache_of_its_own: Path) -> None:
    command = [sys.executable, "-c", FILLING_UP]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY)
    assert "cannot write the latents" in done.stdout
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""
    assert [path.suffix for path in (cache_of_its_own / "latents").iterdir()] == [".lock"]


def test_a_cache_that_cannot_be_made_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "file"))
    with pytest.raises(SweeperError, match=r"cannot write the latents .* set SWEEPER_CACHE to"):
        prepare(TINY, workers=1)


def test_an_error_while_rendering_leaves_nothing(
    cache_of_its_own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise SweeperError("cannot render with this SoundFont")

    monkeypatch.setattr(render, "render", refuse)
    with pytest.raises(SweeperError, match="cannot render"):
        prepare(TINY, workers=1)
    assert [path.suffix for path in (cache_of_its_own / "latents").iterdir()] == [".lock"]


PREPARING = """
from sweeper.data.latents import prepare
from tests.sweeper.data.conftest import TINY
from tests.sweeper.data.test_latents import is_as_written
reports = []
latents = prepare(TINY, workers=1, progress=lambda *report: reports.append(report))
rendered = [done for done, total, what in reports if what.startswith("rendering")]
print(is_as_written(latents), len(rendered) > 0)
"""


def test_two_processes_at_once_make_the_latents_once(cache_of_its_own: Path) -> None:
    command = [sys.executable, "-c", PREPARING]
    both = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY)
        for _ in range(2)
    ]
    rendered = sorted(process.communicate()[0].strip() for process in both)
    assert rendered == ["True False", "True True"]
    assert not list((cache_of_its_own / "latents").glob("*.partial"))
