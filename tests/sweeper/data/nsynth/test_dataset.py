"""Notes in NSynth's layouts, good and bad."""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sweeper.data import make_dataset
from sweeper.data.cache import Latents
from sweeper.data.clips import FAMILIES, LOWEST_PITCH, SPLITS
from sweeper.data.latents import fingerprint, prepare
from sweeper.data.splits import held_out
from sweeper.errors import SweeperError
from sweeper.study.config import DataConfig
from tests.sweeper.data.nsynth import layout

DATA = DataConfig("nsynth", train_clips=60, valid_clips=30, downstream_clips=40)
LAYOUTS = {"unpacked": layout.unpacked, "packed": layout.packed, "mirrored": layout.mirrored}


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same notes in every layout; to be read, never changed."""
    roots = {name: tmp_path_factory.mktemp(name) for name in LAYOUTS}
    for part, examples in (("train", layout.train()), ("test", layout.test())):
        sounds = layout.audio(examples)
        for name, write in LAYOUTS.items():
            write(roots[name], part, examples, sounds)
    return roots


def damaged(root: Path, name: str, change: Callable[[dict, dict], None]) -> Path:
    """A root whose test part is changed by `change(examples, sounds)`."""
    train, test = layout.notes({"bass": 100}, range(50, 52)), layout.test()
    sounds = layout.audio(test)
    change(test, sounds)
    LAYOUTS[name](root, "train", train, layout.audio(train))
    LAYOUTS[name](root, "test", test, sounds)
    return root


def arrays(latents: Latents) -> list[np.ndarray]:
    labels = [column for split in SPLITS for column in latents.labels[split].columns]
    return [*(latents.split(split) for split in SPLITS), *labels, latents.parts]


def test_every_layout_gives_the_same_latents_and_labels(roots: dict[str, Path]) -> None:
    made = [arrays(prepare(DATA, workers=1, source=root)) for root in roots.values()]
    for other in made[1:]:
        for mine, its in zip(made[0], other, strict=True):
            np.testing.assert_array_equal(mine, its)


def test_two_processes_make_the_latents_that_one_makes(
    roots: dict[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    one = arrays(prepare(DATA, workers=1, source=roots["packed"]))
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "another"))
    two = arrays(prepare(DATA, workers=2, source=roots["packed"]))
    for mine, its in zip(one, two, strict=True):
        np.testing.assert_array_equal(mine, its)


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_clip_sounds_as_its_labels_say(roots: dict[str, Path], name: str) -> None:
    dataset = pickle.loads(pickle.dumps(make_dataset(DATA, roots[name])))
    for split in SPLITS:
        clips = dataset.candidates(split).take(np.array([7, 2, 19, 2]))
        for at, waveform in enumerate(dataset.waveforms(clips)):
            family = layout.FAMILY_IDS.index(FAMILIES[clips.family[at]])
            raw = layout.tone(int(clips.pitch[at]) + LOWEST_PITCH, family)
            expected = np.frombuffer(raw[44:], "<i2") / np.float32(2**15)
            np.testing.assert_array_equal(waveform, expected)


def test_no_note_is_a_candidate_of_two_splits_and_each_split_has_its_part(
    roots: dict[str, Path],
) -> None:
    dataset = make_dataset(DATA, roots["packed"])
    train, valid, downstream = (dataset.candidates(split) for split in SPLITS)
    notes = [set(zip(*map(np.ndarray.tolist, c.columns), strict=True)) for c in (train, valid)]
    assert not notes[0] & notes[1]
    assert (len(train), len(valid)) == (80, 40)  # of 10 families with 12 pitches
    assert len(downstream) == 40
    assert not set(train.program) & set(downstream.program)


def test_the_family_that_the_test_part_lacks_is_left_out_counted_and_named(
    roots: dict[str, Path], caplog: pytest.LogCaptureFixture
) -> None:
    make_dataset(DATA, roots["unpacked"]).candidates("train")
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 1
    assert "12 notes left out: family synth_lead, which NSynth's test part lacks" in lines[0]


def test_holding_out_takes_its_share_of_every_stratum() -> None:
    strata = np.random.default_rng(0).integers(0, 50, 15_000)
    held = held_out(strata, 5_000, 15_000)
    assert held.sum() == 5_000
    counts, sizes = np.bincount(strata[held]), np.bincount(strata)
    assert (np.abs(counts - sizes / 3) < 1).all()


def test_reading_in_order_reads_a_packed_archive_once(
    roots: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from sweeper.data.nsynth.archives import TarArchive

    dataset = make_dataset(DATA, roots["packed"])
    clips = dataset.candidates("train")
    ordered = clips.take(dataset.reading_order(clips))
    opened = []
    real = TarArchive._unpack
    monkeypatch.setattr(TarArchive, "_unpack", lambda *args: opened.append(args) or real(*args))
    for start in range(0, len(ordered), 16):
        dataset.waveforms(ordered.take(np.arange(start, min(start + 16, len(ordered)))))
    assert len(opened) == 1


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_listing_is_shown_and_cached_latents_are_opened_without_one(
    roots: dict[str, Path], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sweeper.data.nsynth import dataset as nsynth

    shown: list[tuple[int, int, str]] = []
    prepare(DATA, workers=1, source=roots[name], progress=lambda *step: shown.append(step))
    listed = [step for step in shown if step[2].startswith("listing ")]
    assert shown[: len(listed)] == listed
    assert {what.split()[1].split("-0")[0] for _, _, what in listed} >= {
        {"unpacked": "nsynth-train", "packed": "nsynth-train.jsonwav.tar.gz"}.get(name, "train")
    }
    assert all(listed[-1][0] == listed[-1][1] >= done for done, _, what in listed if "test" in what)
    monkeypatch.setattr(nsynth, "_notes_of", None)  # would fail if it were called
    prepare(DATA, workers=1, source=roots[name])


def out_of_range(examples: dict, sounds: dict) -> None:
    for pitch in (20, 109):
        entry = layout.example("bass", 200, pitch, 100, 0)
        examples[entry["note_str"]] = entry
        sounds[entry["note_str"]] = layout.tone(60, 0)


def other_rate(examples: dict, sounds: dict) -> None:
    for name in sorted(sounds)[:3]:
        sounds[name] = layout.wav(np.ones(64_000) * 9_000, rate=44_100)


def stereo(examples: dict, sounds: dict) -> None:
    sounds[min(sounds)] = layout.wav(np.ones(128_000) * 9_000, channels=2)


def short(examples: dict, sounds: dict) -> None:
    sounds[min(sounds)] = layout.tone(60, 0, samples=60_000)


def cut(examples: dict, sounds: dict) -> None:
    sounds[min(sounds)] = sounds[min(sounds)][:5_000]


def empty(examples: dict, sounds: dict) -> None:
    sounds[min(sounds)] = b""


def silent(examples: dict, sounds: dict) -> None:
    sounds[min(sounds)] = layout.tone(60, 0, peak=5e-4)


def noise(examples: dict, sounds: dict) -> None:
    sounds[min(sounds)] = b"no sound at all"


def unheard(examples: dict, sounds: dict) -> None:
    for name in sorted(sounds)[:2]:
        del sounds[name]


def unlabelled(examples: dict, sounds: dict) -> None:
    del examples[min(examples)]


def twin(examples: dict, sounds: dict) -> None:
    first = min(examples)
    examples["bass_acoustic_999-052-100"] = {**examples[first]}
    sounds["bass_acoustic_999-052-100"] = sounds[first]


def copies(examples: dict, sounds: dict) -> None:
    """Like NSynth's brass_acoustic_046: other pitches, one waveform."""
    first, *others = sorted(sounds)[:3]
    for name in others:
        sounds[name] = sounds[first]


def copy_of_unusable(examples: dict, sounds: dict) -> None:
    """A copy of a note that is left out anyway is the only one, and stays."""
    entry = layout.example("bass", 100, 20, 100, 0)
    examples[entry["note_str"]] = entry
    sounds[entry["note_str"]] = sounds[min(sounds)]


FIRST = "bass_acoustic_200-052-100"
SECOND = "bass_acoustic_200-053-100"
BAD = {
    out_of_range: (40, "2 notes left out: pitch outside 21-108; first bass_acoustic_200-020-100"),
    other_rate: (37, f"3 notes left out: audio not as in NSynth; first {FIRST}: 44100 Hz, 1 "),
    stereo: (39, f"1 notes left out: audio not as in NSynth; first {FIRST}: 16000 Hz, 2 channels"),
    short: (39, f"first {FIRST}: 16000 Hz, 1 channels, 16 bits, 60000 samples instead of"),
    cut: (39, f"first {FIRST}: cut short: 2478 of 64000 samples"),
    empty: (39, f"first {FIRST}: empty"),
    silent: (39, f"first {FIRST}: silent"),
    noise: (39, f"first {FIRST}: no PCM wav file"),
    unheard: (38, f"2 notes left out: labels without audio; first {FIRST}"),
    unlabelled: (39, f"1 notes left out: audio without labels; first {FIRST}"),
    copies: (
        38,
        f"2 notes left out: the same samples as another note; first {SECOND}, a copy of {FIRST}",
    ),
    copy_of_unusable: (40, "1 notes left out: pitch outside 21-108; first bass_acoustic_100-020"),
    twin: (40, "the same instrument, pitch and velocity as another; first bass_acoustic_999"),
}


@pytest.mark.parametrize("change", BAD, ids=lambda change: change.__name__)
@pytest.mark.parametrize("name", ["unpacked", "packed"])
def test_a_bad_note_is_left_out_and_one_line_counts_and_names_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, change: Callable
) -> None:
    remain, expected = BAD[change]
    dataset = make_dataset(DATA, damaged(tmp_path, name, change))
    assert len(dataset.candidates("downstream")) == remain
    lines = [r.getMessage() for r in caplog.records if "nsynth-test" in r.getMessage()]
    assert len(lines) == 1
    assert expected in lines[0]


def test_a_note_packed_twice_counts_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    import io
    import tarfile

    root = damaged(tmp_path, "unpacked", lambda *_: None)
    directory = root / "nsynth-test"
    raw = (directory / "audio" / f"{FIRST}.wav").read_bytes()
    with tarfile.open(root / "nsynth-test.jsonwav.tar.gz", "w:gz", compresslevel=1) as archive:
        archive.add(directory, "nsynth-test")
        info = tarfile.TarInfo(f"nsynth-test/audio/{FIRST}.wav")
        info.size = len(raw)
        archive.addfile(info, io.BytesIO(raw))
    assert len(make_dataset(DATA, root).candidates("downstream")) == 40
    assert f"1 notes left out: listed twice; first {FIRST}" in caplog.text


@pytest.mark.parametrize("share", [0.3, 0.9, 0.9999])
def test_a_truncated_archive_is_one_clear_line_and_leaves_no_latents(
    roots: dict[str, Path], tmp_path: Path, cache_of_its_own: Path, share: float
) -> None:
    for path in roots["packed"].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    path = tmp_path / "nsynth-train.jsonwav.tar.gz"
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(SweeperError, match=rf"{path.name} is cut short or damaged.*again$"):
        prepare(DATA, workers=1, source=tmp_path)
    assert not list(cache_of_its_own.rglob("*.npy"))


LABEL = '{"a": {"pitch": %s, "instrument_family_str": "bass", "instrument": %s, "velocity": %s}}'


@pytest.mark.parametrize(
    "raw",
    [
        "{", "[]", "[1, 2]", '[{"pitch": 60}, {}]', "7", '"notes"', "[" * 100_000, "\xff",
        '{"a": {"pitch": 60}}', '{"a": 1}', '{"a": []}', '{"a": "b"}', '{"a": null}',
        LABEL % ("1e999", 0, 100), LABEL % ("NaN", 0, 100), LABEL % ("[60]", 0, 100),
        LABEL % (60, "1e999", 100), LABEL % (60, "1e30", 100), LABEL % (60, -1, 100),
        LABEL % (60, 0, 128), LABEL % (60, 0, "-1e999"), LABEL % (60, 0, 10**30),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["unpacked", "packed"])
def test_an_examples_json_of_another_kind_is_refused_by_name(
    tmp_path: Path, name: str, raw: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    examples = layout.notes({"bass": 100}, range(50, 52))
    monkeypatch.setattr(layout.json, "dumps", lambda _: raw)
    LAYOUTS[name](tmp_path, "train", examples, layout.audio(examples))
    LAYOUTS[name](tmp_path, "test", examples, layout.audio(examples))
    with pytest.raises(SweeperError, match=r"nsynth-train(.jsonwav.tar.gz)? .*") as refused:
        make_dataset(DATA, tmp_path).candidates("train")
    message = str(refused.value)
    assert "not NSynth's (" in message or "holds no" in message
    assert "\n" not in message


def test_a_pitch_without_end_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def endless(examples: dict, sounds: dict) -> None:
        examples[FIRST] = {**examples[FIRST], "pitch": 10**30}

    dataset = make_dataset(DATA, damaged(tmp_path, "unpacked", endless))
    assert len(dataset.candidates("downstream")) == 39
    assert "1 notes left out: pitch outside 21-108" in caplog.text


class Zeros:
    """A file of so many zeros, made as it is read; what was read of it is counted."""

    def __init__(self, size: int) -> None:
        self.left = size

    def read(self, size: int) -> bytes:
        size = min(size, self.left)
        self.left -= size
        return bytes(size)


def bomb(path: Path, name: str, size: int) -> None:
    """An archive with one member, of zeros: a thousandth of their number on disk."""
    import tarfile

    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        info = tarfile.TarInfo(name)
        info.size = size
        archive.addfile(info, Zeros(size))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("member", "says"),
    [
        (f"nsynth-test/audio/{FIRST}.wav", "holds no examples.json; download it again"),
        ("nsynth-test/examples.json", r"damaged \(an examples.json of 400000000 bytes\); down"),
    ],
)
def test_the_size_of_a_packed_file_is_looked_at_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, member: str, says: str
) -> None:
    import tracemalloc

    from sweeper.data.nsynth import archives

    root = damaged(tmp_path, "packed", lambda *_: None)
    bomb(root / "nsynth-test.jsonwav.tar.gz", member, 400_000_000)
    monkeypatch.setattr(archives, "MOST_LABELS", 10_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(SweeperError, match=says):
            make_dataset(DATA, root).candidates("downstream")
        assert tracemalloc.get_traced_memory()[1] < 100_000_000
    finally:
        tracemalloc.stop()


def test_an_enormous_file_is_left_out_unread(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = damaged(tmp_path, "unpacked", lambda *_: None)
    with (root / "nsynth-test" / "audio" / f"{FIRST}.wav").open("r+b") as file:
        file.truncate(3_000_000_000)  # sparse: takes no room
    assert len(make_dataset(DATA, root).candidates("downstream")) == 39
    assert f"first {FIRST}: 3000000000 bytes instead of 128044" in caplog.text


def test_too_few_notes_are_all_used_and_that_is_said(
    roots: dict[str, Path], caplog: pytest.LogCaptureFixture
) -> None:
    latents = prepare(DataConfig("nsynth"), workers=1, source=roots["unpacked"])
    assert [len(latents.labels[split]) for split in SPLITS] == [80, 40, 40]
    assert "10000 train clips are asked for; all 80 that exist are used" in caplog.text


def test_the_fingerprint_follows_the_notes_and_reads_little(
    roots: dict[str, Path], tmp_path: Path
) -> None:
    assert fingerprint(DATA, roots["packed"]) == fingerprint(DATA, roots["packed"])
    for name in LAYOUTS:
        root = damaged(tmp_path / name, name, short)
        assert fingerprint(DATA, root) != fingerprint(DATA, roots[name])


def mirror(root: Path, change: Callable) -> Path:
    """A parquet mirror whose first shard of the test part is changed by `change(table)`."""
    import pyarrow.parquet

    damaged(root, "mirrored", lambda *_: None)
    shard = min((root / "data").glob("test-*.parquet"))
    pyarrow.parquet.write_table(change(pyarrow.parquet.read_table(shard)), shard)
    return root


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        (lambda table: table.drop_columns(["pitch", "velocity"]), "pitch, velocity"),
        (lambda table: table.drop_columns(["audio"]), "audio.bytes"),
        (lambda table: table.rename_columns({"audio": "is", "note_str": "audio"}), "note_str, aud"),
    ],
)
def test_a_mirror_without_nsynths_columns_is_named_before_anything_is_made(
    tmp_path: Path, change: Callable, missing: str
) -> None:
    with pytest.raises(SweeperError, match=rf"test-00000-of-00002.parquet lacks .* {missing}"):
        make_dataset(DATA, mirror(tmp_path, change)).candidates("train")


def test_notes_of_a_mirror_whose_labels_have_gaps_are_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    import pyarrow as pa

    def gaps(table: pa.Table) -> pa.Table:
        pitches = pa.array([None, *table["pitch"].to_pylist()[1:]], pa.int64())
        return table.set_column(table.column_names.index("pitch"), "pitch", pitches)

    dataset = make_dataset(DATA, mirror(tmp_path, gaps))
    assert len(dataset.candidates("downstream")) == 39
    assert f"1 notes left out: labels with gaps; first {FIRST}" in caplog.text


def test_a_mirror_with_damage_in_its_midst_is_one_clear_line(tmp_path: Path) -> None:
    damaged(tmp_path, "mirrored", lambda *_: None)
    shard = min((tmp_path / "data").glob("test-*.parquet"))
    whole = shard.read_bytes()
    shard.write_bytes(whole[:1_000] + bytes(len(whole) - 21_000) + whole[-20_000:])
    with pytest.raises(SweeperError, match=rf"{shard.name} is cut short or damaged.*again$"):
        make_dataset(DATA, tmp_path).candidates("train")


@pytest.mark.parametrize("root", [None, "nowhere at all", "."])
def test_a_root_without_notes_is_one_clear_line(
    root: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SweeperError, match=r"--data-root|neither nsynth-train.jsonwav.tar.gz"):
        make_dataset(DATA, root and Path(root))


@pytest.mark.parametrize("name", ["nsynth-train.tfrecord", "nsynth-train.tfrecord.tar"])
def test_the_tfrecord_form_is_named_and_the_other_is_offered(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"records")
    with pytest.raises(SweeperError, match=rf"{name} is in the TFRecord form.*sweeper data fetch"):
        make_dataset(DATA, tmp_path)


def own_notes(root: Path, rows: list[str], columns: str = "file,pitch,family,part") -> Path:
    root.mkdir(exist_ok=True)
    (root / "labels.csv").write_text("\n".join([columns, *rows]) + "\n")
    return root


def test_a_folder_of_ones_own_notes_works_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = []
    for part in ("train", "test"):
        for family, name in enumerate(FAMILIES):
            for pitch in range(50, 54):
                file = f"{part}/{name}-{pitch}.wav"
                (tmp_path / part).mkdir(exist_ok=True)
                (tmp_path / file).write_bytes(layout.tone(pitch, family))
                rows.append(f"{file},{pitch},{name},{part}")
    data = DataConfig("nsynth", train_clips=20, valid_clips=20, downstream_clips=40)
    latents = prepare(data, workers=1, source=own_notes(tmp_path, rows))
    assert [len(latents.labels[split]) for split in SPLITS] == [20, 20, 40]
    assert not caplog.records


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a.wav,sixty,bass,train", "labels.csv, line 2: invalid literal"),
        ("a.wav,60,bass,dev", "labels.csv, line 2: part is 'dev' and neither train nor test"),
        ("a.wav,60,banjo,train", "a is of the family 'banjo'; choose one of bass, brass"),
        ("a.wav,60,bass,train\na.wav,61,bass,train", "line 3: a.wav is listed twice"),
        ("a.wav", "labels.csv, line 2: part is '' and neither train nor test"),
    ],
)
def test_a_bad_line_of_labels_is_named(tmp_path: Path, row: str, message: str) -> None:
    (tmp_path / "a.wav").write_bytes(layout.tone(60, 0))
    with pytest.raises(SweeperError, match=message):
        make_dataset(DATA, own_notes(tmp_path, [row])).candidates("train")


def test_labels_in_another_encoding_are_refused_by_name(tmp_path: Path) -> None:
    (root := own_notes(tmp_path, [])).joinpath("labels.csv").write_bytes(b"file,pitch\n\xe9.wav,1")
    with pytest.raises(SweeperError, match=r"cannot read .*labels.csv \('utf-8' .*CSV in UTF-8$"):
        make_dataset(DATA, root).candidates("train")


def test_labels_without_a_column_are_refused(tmp_path: Path) -> None:
    root = own_notes(tmp_path, ["a.wav,60"], "file,pitch")
    with pytest.raises(SweeperError, match=r"labels.csv lacks the columns family, part$"):
        make_dataset(DATA, root).candidates("train")


def test_weights_that_are_not_to_be_had_are_one_clear_line(
    roots: dict[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    data = dataclasses.replace(DATA, encoder="audiomae")
    with pytest.raises(SweeperError, match="neither on this disk nor to be had"):
        fingerprint(data, roots["unpacked"])


def test_weights_of_another_model_are_one_clear_line(
    roots: dict[str, Path], tmp_path: Path, cache_of_its_own: Path
) -> None:
    (path := tmp_path / "pretrained.pth").write_bytes(b"no weights")
    data = dataclasses.replace(DATA, encoder=f"audiomae:{path}")
    with pytest.raises(SweeperError, match=r"pretrained.pth is no checkpoint"):
        prepare(data, workers=1, source=roots["unpacked"])
    assert not list(cache_of_its_own.rglob("*.npy"))
