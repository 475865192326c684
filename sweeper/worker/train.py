"""Training and probing one pack: configs and latents in, plain results out; no Ray."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch

from analysis.factors import PAPER
from analysis.predictions import pack
from models.evaluation import Evaluated, probe_encoder, probe_pack
from models.pack.runs import LOSSES, PackRun, RunState, TrainedRun
from models.pack.trainer import PackTrainer
from models.pairs import LabelledLatents
from models.probes import ProbeSplit, ProbeTask
from models.spec import LossSpec, ModelSpec
from sweeper.data.cache import Latents
from sweeper.data.clips import PARTS, PITCHES
from sweeper.events import Epochs, Losses, RunResult
from sweeper.failpoints import failpoint
from sweeper.states import State
from sweeper.storage.checkpoints import Saver
from sweeper.storage.weights import RunWeights
from sweeper.study.config import RunConfig
from sweeper.study.plan import training_share

PROGRESS_SECONDS = 0.25

# Stage, done, total, share of the pack's work, and the epochs since the last report.
Report = Callable[[str, int, int, float, Epochs], None]


class StopAskedError(Exception):
    """The driver has asked the pack to stop, and its runs are at their checkpoints."""


def train(
    runs: Sequence[RunConfig],
    references: Sequence[float | None],
    latents: Latents,
    device: str,
    report: Report = lambda *progress: None,
    *,
    saver: Saver | None = None,
    states: Mapping[str, RunState] | None = None,
    keep: Callable[[RunWeights], None] = lambda weights: None,
) -> list[RunResult]:
    """Trains and probes runs of one architecture.

    `states` are checkpoints of equal epoch to go on from; `keep` is given the weights that were
    probed. Raises StopAskedError when `saver` says so after an epoch.
    """
    if runs[0].kind == "encoder":
        return [_result(run, None, _probe_encoder(run, latents, device), latents) for run in runs]
    reporter = _Reporter(runs, report)
    trained = _train(runs, references, latents, device, reporter, saver, states)
    reporter.on_probes()
    failpoint("probe")
    scores = _probe_pack(runs, trained, latents, device, reporter.on_probes)
    for run, of_run in zip(runs, trained, strict=True):
        if run.key in scores:
            keep(_weights(run, of_run, latents))
    return [
        _result(run, of_run, scores.get(run.key), latents)
        for run, of_run in zip(runs, trained, strict=True)
    ]


def _train(
    runs: Sequence[RunConfig],
    references: Sequence[float | None],
    latents: Latents,
    device: str,
    reporter: _Reporter,
    saver: Saver | None,
    states: Mapping[str, RunState] | None,
) -> list[TrainedRun]:
    config = runs[0]
    assert config.model is not None and config.training is not None

    def on_epoch(trainer: PackTrainer) -> None:
        reporter.on_epoch(trainer)
        failpoint("epoch", *(run.key for run in runs))
        if saver and saver.after_epoch(lambda: (trainer.state(run.key) for run in runs)):
            raise StopAskedError

    keys = {run.key for run in runs}
    trainer = PackTrainer(
        [_pack_run(run, mse) for run, mse in zip(runs, references, strict=True)],
        _labelled(latents, "train"),
        _labelled(latents, "valid"),
        _model_spec(config, latents),
        config.training,
        device=device,
        states={key: state for key, state in (states or {}).items() if key in keys},
    )
    try:
        return trainer.train(on_epoch)
    finally:  # a checkpoint must not come after its run's result, nor after its next attempt
        if saver:
            saver.settle()


class _Reporter:
    """Tells how far a pack is, and the losses since it told last."""

    def __init__(self, runs: Sequence[RunConfig], report: Report) -> None:
        self._runs, self._report = runs, report
        self._training_share = sum(map(training_share, runs)) / len(runs)
        self._probed = 0.0  # runs
        self._told_epoch = 0  # the losses until there are told
        self._told_at = 0.0

    def on_epoch(self, trainer: PackTrainer) -> None:
        assert self._runs[0].training is not None
        epochs = self._runs[0].training.epochs
        if trainer.done or self._is_time():
            keys, told = [run.key for run in self._runs], self._told_epoch
            losses = {key: _finite_losses(trainer.losses_after(key, told)) for key in keys}
            self._told_epoch = trainer.epoch
            share = self._training_share * trainer.epoch / epochs
            self._report("epoch", trainer.epoch, epochs, share, losses)

    def on_probes(self, runs: float = 0.0) -> None:
        """So much of the probing is done since the last call; none: it begins."""
        self._probed += runs
        if self._is_time() or not runs:
            done = self._probed / len(self._runs)
            share = self._training_share + (1 - self._training_share) * done
            self._report("probes", int(100 * done), 100, share, {})

    def _is_time(self) -> bool:
        """An event costs Tune milliseconds."""
        if time.monotonic() - self._told_at <= PROGRESS_SECONDS:
            return False
        self._told_at = time.monotonic()
        return True


def _pack_run(run: RunConfig, reference_mse: float | None) -> PackRun:
    return PackRun(
        key=run.key,
        kind=run.kind,
        seed=run.seed,
        principle=run.principle,
        objective=run.objective,
        lam=run.lam,
        loss=run.loss or LossSpec(),
        share=run.share,
        differ=run.differ,
        reference_mse=reference_mse,
    )


def _model_spec(run: RunConfig, latents: Latents) -> ModelSpec:
    """The run's, with the encoder's advice where it asks for that."""
    model = run.model or ModelSpec()
    return dataclasses.replace(model, pool=latents.pool) if model.pool == "encoder" else model


def _labelled(latents: Latents, split: str) -> LabelledLatents:
    labels = latents.labels[split]
    others = {name: of for name, of in labels.factors.items() if name not in PAPER.tasks}
    return LabelledLatents(_tensor(latents, split), labels.family, labels.pitch, others)


def _tensor(latents: Latents, split: str) -> torch.Tensor:
    """(N, T, D) float16, as cached: `models` makes them float32 where they are used."""
    return torch.from_numpy(np.array(latents.split(split)))  # a copy: memory maps are read-only


def _probe_pack(
    runs: Sequence[RunConfig],
    trained: Sequence[TrainedRun],
    latents: Latents,
    device: str,
    on_epoch: Callable[[float], None],
) -> dict[str, Evaluated]:
    return probe_pack(
        trained,
        {run.key: run.seed for run in runs},
        _tensor(latents, "downstream").to(device),
        _tasks(runs[0], latents),
        _split(latents),
        _model_spec(runs[0], latents),
        runs[0].probe,
        on_epoch,
    )


def _probe_encoder(run: RunConfig, latents: Latents, device: str) -> Evaluated:
    return probe_encoder(
        _tensor(latents, "downstream").to(device),
        _tasks(run, latents),
        _split(latents),
        _model_spec(run, latents),
        run.probe,
        run.seed,
    )


def _tasks(run: RunConfig, latents: Latents) -> dict[str, ProbeTask]:
    return {name: _task(name, latents) for name in run.tasks}


def _task(name: str, latents: Latents) -> ProbeTask:
    """Of a further factor the classes are the labels that there are, in their order."""
    labels = latents.labels["downstream"].factors[name]
    if name == "pitch":
        return ProbeTask(labels, PITCHES)
    if name == "instrument":
        return ProbeTask(labels, len(latents.families))
    values, classes = np.unique(labels, return_inverse=True)
    return ProbeTask(classes, len(values))


def _split(latents: Latents) -> ProbeSplit:
    return ProbeSplit(*(np.flatnonzero(latents.parts == part) for part in range(len(PARTS))))


def _weights(run: RunConfig, trained: TrainedRun, latents: Latents) -> RunWeights:
    layers = {name: layer.numpy() for name, layer in trained.weights.items()}
    return RunWeights(run, _model_spec(run, latents).pool, layers)


def _result(
    run: RunConfig, trained: TrainedRun | None, evaluated: Evaluated | None, latents: Latents
) -> RunResult:
    epochs = [] if trained is None else _epochs(trained)
    if evaluated is None:
        assert trained is not None
        cause = _divergence(run, trained)
        return RunResult(run.key, State.DIVERGED, epochs=epochs, cause=cause, engine=trained.engine)
    sizes = np.bincount(latents.parts, minlength=len(PARTS)).tolist()
    row = {
        "gamma": trained and trained.gamma,
        "best_epoch": trained and trained.best_epoch,
        "valid_rec": trained and trained.valid_rec,
        "valid_size": sizes[PARTS.index("validation")],
        "test_size": sizes[PARTS.index("test")],
        "mse": evaluated.mse,
        **evaluated.probed.accuracies,
    }
    return RunResult(
        run.key,
        State.FINISHED,
        row,
        epochs,
        predictions=_predictions(evaluated, latents),
        measures=dict(evaluated.measures),
        engine=trained.engine if trained else None,
    )


def _predictions(evaluated: Evaluated, latents: Latents) -> dict[str, str]:
    """What each probe said of the clips of its part, by the name of its accuracy."""
    labels, split = latents.labels["downstream"].factors, _split(latents)
    packed = {}
    for name, classes in evaluated.probed.classes.items():
        clips = split.valid if name.startswith("valid_") else split.test
        task = name.removeprefix("valid_").rpartition("_")[0]
        said = classes if task in PAPER.tasks else np.unique(labels[task])[classes]
        packed[name] = pack(said, labels[task][clips])
    return packed


def _divergence(run: RunConfig, trained: TrainedRun) -> str:
    epoch, step = trained.diverged_at or (0, 0)
    name = f"{run.principle} {run.objective} λ={run.lam:g}" if run.principle else run.kind
    return f"{name} left the finite range in epoch {epoch}, step {step}"


def _epochs(trained: TrainedRun) -> list[dict[str, float | None]]:
    """Losses by epoch, columns of the table `epochs`; None where not finite."""
    columns = [trained.losses[name] for name in LOSSES]
    rows = ([_finite(value) for value in row] for row in zip(*columns, strict=True))
    return [dict(zip(LOSSES, row, strict=True)) for row in rows]


def _finite_losses(epochs: Mapping[int, Mapping[str, float]]) -> dict[int, Losses]:
    return {n: {name: _finite(x) for name, x in row.items()} for n, row in epochs.items()}


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
