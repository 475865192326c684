"""From wav files to latents on disk, beside the rate of the encoder's network alone.

Real code, made-up contents: notes of noise in NSynth's layout, AudioMAE's network with random
weights and fewer and narrower blocks. The published one takes ten times as long for a clip, which
hides reading and front end better: this share is the harder one to reach.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from scipy.io import wavfile

from models.encoders.audiomae import AudioMAE, ViT
from sweeper.bench.workers import seconds_of
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
    return seconds_of(lambda: encoder.network(inputs))


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


def write_notes(archive: Path, count: int) -> None:
    """So many notes of one instrument of each family, with the fields of NSynth that are read."""
    (archive / "audio").mkdir(parents=True)
    rng = np.random.default_rng(SEED)
    examples = {}
    for pitch, family in itertools.islice(itertools.product(range(PITCHES), FAMILIES), count):
        note = f"{family}_acoustic_000-{LOWEST_PITCH + pitch:03}-100"
        examples[note] = {
            "note_str": note,
            "instrument_family_str": family,
            "instrument": FAMILIES.index(family),
            "pitch": LOWEST_PITCH + pitch,
            "velocity": 100,
        }
        noise = rng.integers(-9_000, 9_000, SAMPLES, "<i2")
        wavfile.write(archive / "audio" / f"{note}.wav", SAMPLE_RATE, noise)
    (archive / "examples.json").write_text(json.dumps(examples))


def write_checkpoint(path: Path, blocks: int) -> Path:
    """AudioMAE's layout, random weights."""
    torch.manual_seed(SEED)
    weights = ViT(WIDTH, 4 * WIDTH, blocks).state_dict()
    model = {name: 0.02 * torch.randn_like(layer) for name, layer in weights.items()}
    torch.save({"model": model}, path)
    return path
