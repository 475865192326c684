"""From wav files to latents on disk, beside the rate of the encoder's network alone.

Real code, made-up contents: notes of noise in NSynth's layout, AudioMAE's network with random
weights and fewer and narrower blocks. The published one takes ten times as long for a clip, which
hides reading and front end better: this share is the harder one to reach.
"""

from __future__ import annotations

import itertools
import json
import time
import wave
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from models.encoders.audiomae import AudioMAE, ViT
from sweeper.data.build import CHUNK, build
from sweeper.data.clips import FAMILIES, LOWEST_PITCH, PITCHES, SPLITS
from sweeper.data.nsynth.dataset import NSynth
from sweeper.data.nsynth.wav import SAMPLE_RATE, SAMPLES
from sweeper.study.config import DataConfig

WIDTH = 384  # a ViT-B has 768, and 12 blocks
SEED = 7


def measure(batches: int, blocks: int, workers: int) -> dict[str, float]:
    """Clips a second of both, once the workers have started, and the share.

    Args:
        batches: of training clips; there is one of each other split.
        blocks: of the network.
        workers: processes that read.
    """
    sizes = {"train": batches * CHUNK, "valid": CHUNK, "downstream": CHUNK}
    with TemporaryDirectory() as directory:
        root = Path(directory)
        write_notes(root / "nsynth-train", sizes["train"] + sizes["valid"])
        write_notes(root / "nsynth-test", sizes["downstream"])
        encoder = AudioMAE(str(write_checkpoint(root / "pretrained.pth", blocks)))
        before = network_seconds(encoder)
        rate = pipeline_rate(root, encoder, sizes, workers)
        alone = CHUNK / ((before + network_seconds(encoder)) / 2)
    return {"share": rate / alone, "clips_per_second": rate, "encoder_rate": alone}


def network_seconds(encoder: AudioMAE) -> float:
    """Of a batch whose inputs lie ready."""
    rng = np.random.default_rng(SEED)
    inputs = encoder.front(rng.normal(0, 0.1, (CHUNK, SAMPLES)).astype(np.float32))
    encoder.network(inputs[:1])  # loads it
    started = time.monotonic()
    encoder.network(inputs)
    return time.monotonic() - started


def pipeline_rate(root: Path, encoder: AudioMAE, sizes: Mapping[str, int], workers: int) -> float:
    """Clips a second from the first batch to the last latents on disk."""
    train, valid, downstream = (sizes[split] for split in SPLITS)
    dataset = NSynth(DataConfig("nsynth", encoder.name, train, valid, downstream), root)
    (latents := root / "latents").mkdir()
    seen: list[tuple[float, int]] = []

    def progress(done: int, total: int, what: str) -> None:
        seen.append((time.monotonic(), done))

    build(dataset, encoder, sizes, latents, workers, progress)
    (started, first), (_, last) = seen[0], seen[-1]
    return (last - first) / (time.monotonic() - started)


def write_notes(part: Path, count: int) -> None:
    """So many notes of one instrument of each family: `part`/examples.json and audio/NOTE.wav."""
    (part / "audio").mkdir(parents=True)
    rng = np.random.default_rng(SEED)
    examples = {}
    for pitch, family in itertools.islice(itertools.product(range(PITCHES), FAMILIES), count):
        example = label(family, LOWEST_PITCH + pitch)
        examples[example["note_str"]] = example
        with wave.open(str(part / "audio" / f"{example['note_str']}.wav"), "wb") as file:
            file.setparams((1, 2, SAMPLE_RATE, 0, "NONE", ""))
            file.writeframes(rng.integers(-9_000, 9_000, SAMPLES, "<i2").tobytes())
    (part / "examples.json").write_text(json.dumps(examples))


def label(family: str, pitch: int) -> dict[str, Any]:
    """The fields of NSynth's examples.json that are read."""
    return {
        "note_str": f"{family}_acoustic_000-{pitch:03}-100",
        "instrument_family_str": family,
        "instrument": FAMILIES.index(family),
        "pitch": pitch,
        "velocity": 100,
    }


def write_checkpoint(path: Path, blocks: int) -> Path:
    """AudioMAE's layout, random weights."""
    torch.manual_seed(SEED)
    state = ViT(WIDTH, 4 * WIDTH, blocks).state_dict()
    torch.save({"model": {name: 0.02 * torch.randn_like(own) for name, own in state.items()}}, path)
    return path
