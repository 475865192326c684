"""Notes in NSynth's published layouts: tones, so that no test needs a download."""

from __future__ import annotations

import functools
import io
import json
import tarfile
import wave
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

FAMILY_IDS = (
    "bass", "brass", "flute", "guitar", "keyboard", "mallet", "organ", "reed", "string",
    "synth_lead", "vocal",
)  # fmt: skip
SEED = 5


def wav(samples: np.ndarray, rate: int = 16_000, channels: int = 1) -> bytes:
    with wave.open(stream := io.BytesIO(), "wb") as file:
        file.setparams((channels, 2, rate, 0, "NONE", ""))
        file.writeframes(samples.astype("<i2").tobytes())
    return stream.getvalue()


@functools.cache
def tone(pitch: int, family: int, peak: float = 0.5, samples: int = 64_000) -> bytes:
    """A sine whose overtone tells the family; a little noise, which no note shares."""
    phase = 2 * np.pi * 440 * 2 ** ((pitch - 69) / 12) * np.arange(samples) / 16_000
    clean = 0.7 * np.sin(phase) + 0.2 * np.sin((2 + family) * phase)
    noise = np.random.default_rng([SEED, pitch, family]).normal(0, 0.01, samples)
    return wav(peak * 2**15 * np.clip(clean + noise, -1, 1))


def example(family: str, number: int, pitch: int, velocity: int, note: int) -> dict[str, Any]:
    """An entry of examples.json, with its thirteen fields."""
    instrument = f"{family}_acoustic_{number:03}"
    return {
        "note": note,
        "note_str": f"{instrument}-{pitch:03}-{velocity:03}",
        "instrument": number,
        "instrument_str": instrument,
        "instrument_family": FAMILY_IDS.index(family),
        "instrument_family_str": family,
        "instrument_source": 0,
        "instrument_source_str": "acoustic",
        "pitch": pitch,
        "velocity": velocity,
        "sample_rate": 16_000,
        "qualities": [0] * 10,
        "qualities_str": [],
    }


def notes(numbers: Mapping[str, int], pitches: range) -> dict[str, dict[str, Any]]:
    """Every pitch of one instrument of each family."""
    examples = [
        example(family, number, pitch, 100, note)
        for family, number in numbers.items()
        for note, pitch in enumerate(pitches)
    ]
    return {entry["note_str"]: entry for entry in examples}


def audio(examples: Mapping[str, dict[str, Any]]) -> dict[str, bytes]:
    return {
        name: tone(entry["pitch"], entry["instrument_family"]) for name, entry in examples.items()
    }


def train() -> dict[str, dict[str, Any]]:
    return notes({family: 100 + n for n, family in enumerate(FAMILY_IDS)}, range(50, 62))


def test() -> dict[str, dict[str, Any]]:
    families = [family for family in FAMILY_IDS if family != "synth_lead"]
    return notes({family: 200 + n for n, family in enumerate(families)}, range(52, 56))


test.__test__ = False  # type: ignore[attr-defined]


def unpacked(
    root: Path, part: str, examples: Mapping[str, Any], sounds: Mapping[str, bytes]
) -> Path:
    directory = root / f"nsynth-{part}"
    (directory / "audio").mkdir(parents=True)
    (directory / "examples.json").write_text(json.dumps(examples))
    for name, raw in sounds.items():
        (directory / "audio" / f"{name}.wav").write_bytes(raw)
    return directory


def packed(root: Path, part: str, examples: Mapping[str, Any], sounds: Mapping[str, bytes]) -> Path:
    """As published; the members in no order, the labels in their midst."""
    path = root / f"nsynth-{part}.jsonwav.tar.gz"
    root.mkdir(parents=True, exist_ok=True)
    files = {f"audio/{name}.wav": raw for name, raw in sounds.items()}
    files["examples.json"] = json.dumps(examples).encode()
    names = sorted(files)
    np.random.default_rng(SEED).shuffle(names)
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for name in names:
            info = tarfile.TarInfo(f"nsynth-{part}/{name}")
            info.size = len(files[name])
            archive.addfile(info, io.BytesIO(files[name]))
    return path


def mirrored(
    root: Path, part: str, examples: Mapping[str, Any], sounds: Mapping[str, bytes]
) -> Path:
    """Two shards of a parquet mirror in the Hugging Face layout, several row groups each."""
    import pyarrow as pa
    import pyarrow.parquet

    (root / "data").mkdir(parents=True, exist_ok=True)
    rows = [
        {**examples[name], "audio": {"bytes": raw, "path": f"{name}.wav"}}
        for name, raw in sounds.items()
    ]
    for index, shard in enumerate((rows[::2], rows[1::2])):
        path = root / "data" / f"{part}-{index:05}-of-00002.parquet"
        pa.parquet.write_table(pa.Table.from_pylist(shard), path, row_group_size=16)
    return path
