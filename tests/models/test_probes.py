"""Probes against a plain loop over single heads, and on data whose answer is known."""

from __future__ import annotations

import dataclasses
import math
import weakref

import numpy as np
import pytest
import torch
from torch import nn

from models.evaluation import features_of, probe_encoder, probe_pack
from models.native.probes import probe
from models.pack.runs import PackRun
from models.pack.trainer import PackTrainer
from models.probes import Draws, ProbeSplit, ProbeTask, train_probes
from models.reference import probe as plain_probe
from models.spec import LossSpec, ModelSpec, ProbeSpec, TrainingSpec
from tests.models.conftest import make_clips

SPEC = ProbeSpec(epochs=6, batch=16, lr=3e-2)
MODEL = ModelSpec(pool="flatten")
HEADS = ("private", "shared", "overall")


def tasks_of(count, seed=0, classes=(5, 3)):
    generator = np.random.default_rng(seed)
    names = ("pitch", "instrument")
    return {
        name: ProbeTask(generator.integers(0, size, count), size)
        for name, size in zip(names, classes, strict=True)
    }


def split_of(count):
    order = np.random.default_rng(9).permutation(count)
    return ProbeSplit(
        order[: count // 2], order[count // 2 : 3 * count // 4], order[3 * count // 4 :]
    )


def noisy_features(tasks, seed, blocks=2, width=6):
    """Features in which the labels can be made out, with errors."""
    generator = torch.Generator().manual_seed(seed)
    count = len(tasks["pitch"].labels)
    x = torch.randn(blocks, count, width, generator=generator)
    for task in tasks.values():
        signs = torch.randn(blocks, task.classes, width, generator=generator)
        x += 0.6 * signs[:, task.labels]
    return x * 3 + 1


def plain_probes(x, tasks, split, spec, seed):
    """The reference's probe of each head, with the first weights, batches and masks of the pack."""
    x, scores = x.float(), {}
    blocks, _, width = x.shape
    for task, name in make_heads(blocks, width, tasks, Draws(seed)):
        draws = Draws(seed)
        head = make_heads(blocks, width, tasks, draws)[task, name]
        valid, test = plain_probe(
            head,
            inputs(x, name),
            torch.as_tensor(tasks[task].labels),
            [torch.as_tensor(clips) for clips in (split.train, split.valid, split.test)],
            spec,
            (epoch_of(draws, split, spec, x, name) for _ in range(spec.epochs)),
        )
        scores |= {f"{task}_{name}": test, f"valid_{task}_{name}": valid}
    return scores


def epoch_of(draws, split, spec, x, name):
    """Batches of an epoch, each with the mask of one head's inputs."""
    blocks, _, width = x.shape
    for batch in draws.order(torch.as_tensor(split.train)).split(spec.batch):
        mask = draws.dropout_mask((blocks, len(batch), width), spec.dropout)
        yield batch, inputs(mask, name)


def make_heads(blocks, width, tasks, draws):
    """nn.Linear heads filled from the pack's draw, block by block."""
    names = HEADS if blocks == 2 else ("overall",)
    outputs = sum(task.classes for task in tasks.values())
    draw = draws.uniform((blocks, outputs * min(blocks, 2), width))
    biases = draws.uniform((len(names), 1, outputs))
    heads = {}
    for place, name in enumerate(names):
        full = name == "overall"
        weight = torch.cat(tuple(draw[:, -outputs:]), 1) if full else draw[place, :outputs]
        start = 0
        for task, spec in tasks.items():
            head = nn.Linear(weight.shape[1], spec.classes)
            bound = 1 / math.sqrt(weight.shape[1])
            rows = slice(start, start + spec.classes)
            with torch.no_grad():
                head.weight.copy_(weight[rows] * bound)
                head.bias.copy_(biases[place, 0, rows] * bound)
            heads[task, name] = head
            start += spec.classes
    return heads


def inputs(x, name):
    if name == "overall":
        return torch.cat(tuple(x), dim=-1)
    return x[HEADS.index(name)]


def accuracies_of(*inputs, **options):
    return [probed.accuracies for probed in train_probes(*inputs, **options)]


@pytest.mark.parametrize("blocks", [1, 2])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_packed_heads_equal_single_heads_trained_plainly(blocks, weight_decay):
    tasks, split = tasks_of(120), split_of(120)
    spec = ProbeSpec(epochs=6, batch=16, lr=3e-2, weight_decay=weight_decay)
    features = [noisy_features(tasks, seed, blocks) for seed in range(3)]
    packed = train_probes(features, tasks, split, spec, seed=4)
    for x, probed in zip(features, packed, strict=True):
        scores = probed.accuracies
        wanted = plain_probes(x, tasks, split, spec, seed=4)
        assert scores.keys() == wanted.keys()
        assert scores == pytest.approx(wanted, abs=1e-6)
        assert 0.3 < scores["pitch_overall"] <= 1


def test_a_runs_scores_do_not_depend_on_its_neighbours():
    tasks, split = tasks_of(120), split_of(120)
    features = [noisy_features(tasks, seed) for seed in range(4)]
    together = accuracies_of(features, tasks, split, SPEC, seed=1)
    assert accuracies_of(features[2:3], tasks, split, SPEC, seed=1) == together[2:3]
    assert accuracies_of(features[::-1], tasks, split, SPEC, seed=1) == together[::-1]


def test_the_accuracy_of_a_head_is_the_share_of_clips_whose_class_it_says():
    tasks, split = tasks_of(120), split_of(120)
    (probed,) = train_probes([noisy_features(tasks, 0)], tasks, split, SPEC, seed=1)
    assert probed.classes.keys() == probed.accuracies.keys()
    for name, classes in probed.classes.items():
        clips = split.valid if name.startswith("valid_") else split.test
        labels = tasks[name.removeprefix("valid_").split("_")[0]].labels[clips]
        assert (classes == labels).mean() == pytest.approx(probed.accuracies[name])


@pytest.mark.parametrize("dropout", [0.0, 0.25, 0.5])
def test_dropout_keeps_the_expected_share_and_mean(dropout):
    mask = Draws(0).dropout_mask((3, 200, 500), dropout)
    kept = mask > 0
    assert float(kept.float().mean()) == pytest.approx(1 - dropout, abs=0.005)
    assert torch.unique(mask[kept]).tolist() == pytest.approx([1 / (1 - dropout)])


def test_heads_tell_separable_classes_apart_in_the_block_that_holds_them():
    tasks, split = tasks_of(240), split_of(240)
    private = torch.eye(5)[tasks["pitch"].labels]
    shared = torch.eye(5)[tasks["instrument"].labels]
    (scores,) = accuracies_of(
        [torch.stack((private, shared))], tasks, split, ProbeSpec(epochs=40, lr=3e-2), seed=0
    )
    for name in ("pitch_private", "pitch_overall", "instrument_shared", "instrument_overall"):
        assert scores[name] == scores[f"valid_{name}"] == 1.0
    assert scores["pitch_shared"] < 0.45
    assert scores["instrument_private"] < 0.6


def test_heads_on_noise_stay_at_chance():
    tasks, split = tasks_of(2000, classes=(5, 3)), split_of(2000)
    noise = torch.randn(2, 2000, 6, generator=torch.Generator().manual_seed(0))
    (scores,) = accuracies_of([noise], tasks, split, ProbeSpec(epochs=5), seed=0)
    for head in HEADS:
        assert scores[f"pitch_{head}"] == pytest.approx(1 / 5, abs=0.06)
        assert scores[f"instrument_{head}"] == pytest.approx(1 / 3, abs=0.06)


def test_dead_units_are_no_trouble():
    tasks, split = tasks_of(120), split_of(120)
    x = noisy_features(tasks, 0)
    dead = torch.cat((x, torch.full((2, 120, 2), 7.0)), dim=-1)
    (scores,) = accuracies_of([dead], tasks, split, SPEC, seed=0)
    assert scores["pitch_overall"] > 0.3
    (scores,) = accuracies_of([torch.zeros(2, 120, 4)], tasks, split, SPEC, seed=0)
    assert scores["pitch_private"] < 0.5


def test_features_are_not_changed_by_probing():
    tasks, split = tasks_of(60), split_of(60)
    x = noisy_features(tasks, 0)
    kept = x.clone()
    train_probes([x], tasks, split, SPEC, seed=0)
    assert torch.equal(x, kept)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features": []}, "features of one shape"),
        ({"features": [torch.zeros(3, 60, 2)]}, "features of one shape"),
        ({"features": [torch.zeros(2, 60, 2), torch.zeros(1, 60, 2)]}, "features of one shape"),
        ({"features": [torch.zeros(2, 50, 2)]}, "60 labels for 50 clips"),
        ({"split": ProbeSplit(np.arange(9), np.arange(0), np.arange(3))}, "empty part"),
        ({"tasks": {"pitch": ProbeTask(np.full(60, 88), 88)}}, "not all from 0 to 87"),
    ],
)
def test_what_cannot_be_probed_is_an_error_that_says_why(change, message):
    good = {"features": [torch.zeros(2, 60, 2)], "tasks": tasks_of(60), "split": split_of(60)}
    with pytest.raises(ValueError, match=message):
        train_probes(**{**good, **change}, spec=SPEC, seed=0)


# --- downstream


@pytest.fixture(scope="module")
def trained():
    runs = [
        PackRun(
            key="both",
            principle="Cosine",
            objective="SEP",
            lam=0.5,
            loss=LossSpec(gamma="fixed:1"),
            seed=1,
        ),
        PackRun(key="no decoder", principle="Cosine", objective="SEP", lam=0.0),
        PackRun(key="reconstruction", lam=1.0),
    ]
    training = TrainingSpec(epochs=3, batch_pairs=4, lr=1e-2)
    results = PackTrainer(runs, make_clips(40, 1), make_clips(24, 2), MODEL, training).train()
    return results, {run.key: run.seed for run in runs}


@pytest.mark.parametrize("pool", ["flatten", "mean"])
def test_features_and_mse_are_those_of_the_best_weights(trained, pool):
    results, _ = trained
    latents = make_clips(30, 3).latents.float()
    for result in results:
        w = result.weights
        hidden = latents @ w["encoder1.weight"].T + w["encoder1.bias"]
        halves = hidden.relu().chunk(2, dim=-1)
        z = [half @ v.T for half, v in zip(halves, w["encoder2.weight"], strict=True)]
        z = torch.stack(z) + w["encoder2.bias"].view(2, 1, 1, -1)
        features, mse = features_of(result, latents, ModelSpec(pool=pool))
        wanted = z.mean(2) if pool == "mean" else z.flatten(2)
        torch.testing.assert_close(features, wanted)
        if result.key == "no decoder":
            assert mse is None
            continue
        wide = (torch.cat(tuple(z), -1) @ w["decoder1.weight"].T + w["decoder1.bias"]).relu()
        rebuilt = wide @ w["decoder2.weight"].T + w["decoder2.bias"]
        assert mse == pytest.approx(float(((rebuilt - latents) ** 2).mean()), rel=1e-5)


def test_a_pack_is_probed_seed_by_seed_and_diverged_runs_are_left_out(trained):
    results, seeds = trained
    latents = make_clips(80, 3).latents
    tasks, split = tasks_of(80), split_of(80)
    scores = probe_pack(results, seeds, latents, tasks, split, MODEL, SPEC)
    assert set(scores) == set(seeds)
    features, _ = features_of(results[0], latents, MODEL)
    (alone,) = accuracies_of([features], tasks, split, SPEC, seed=1)
    assert scores["both"].probed.accuracies == alone
    assert scores["no decoder"].mse is None
    results = [dataclasses.replace(results[0], state="diverged"), *results[1:]]
    left = probe_pack(results, seeds, latents, tasks, split, MODEL, SPEC)
    assert set(left) == {"no decoder", "reconstruction"}
    assert left["no decoder"].probed.accuracies == scores["no decoder"].probed.accuracies


def test_away_from_a_cpu_bytes_decide_how_many_runs_are_probed_at_once(trained, monkeypatch):
    results, of_one_seed = trained[0], dict.fromkeys(trained[1], 1)
    latents, sizes = make_clips(80, 3).latents, []

    def scores():
        tasks, split = tasks_of(80), split_of(80)
        evaluated = probe_pack(results, of_one_seed, latents, tasks, split, MODEL, SPEC)
        return {key: of_run.probed.accuracies for key, of_run in evaluated.items()}

    def probing(features, *rest):
        sizes.append(len(features))
        return probe(features, *rest)

    expected = scores()
    features, _ = features_of(results[0], latents, MODEL)
    monkeypatch.setattr("models.probes.CHUNK", {})
    monkeypatch.setattr("models.probes.CHUNK_BYTES", 3 * 4 * features.numel() - 1)
    monkeypatch.setattr("models.evaluation.probe", probing)
    assert scores() == expected
    assert sizes == [2, 1]


def test_only_the_runs_at_work_have_their_features_in_memory(trained, monkeypatch):
    results, of_one_seed = trained[0], dict.fromkeys(trained[1], 1)
    held = []

    def watched(*arguments):
        features, error = features_of(*arguments)
        held.append(weakref.ref(features))
        assert sum(of_run() is not None for of_run in held) == 1
        return features, error

    monkeypatch.setattr("models.probes.CHUNK", {"cpu": 1})
    monkeypatch.setattr("models.evaluation.features_of", watched)
    probe_pack(
        results, of_one_seed, make_clips(80, 3).latents, tasks_of(80), split_of(80), MODEL, SPEC
    )
    assert len(held) == 3


def test_the_raw_encoder_is_probed_on_its_own_latents():
    clips = make_clips(80, 3)
    tasks, split = tasks_of(80), split_of(80)
    scores = probe_encoder(clips.latents, tasks, split, MODEL, SPEC, seed=2)
    (wanted,) = accuracies_of([clips.latents.flatten(1)[None]], tasks, split, SPEC, seed=2)
    assert scores.mse is None and scores.probed.accuracies == wanted
    assert set(wanted) == {
        f"{part}{task}_overall" for part in ("", "valid_") for task in ("pitch", "instrument")
    }
