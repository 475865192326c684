"""The pack trainer: K runs at once in one process, each as if it were alone.

Nothing is reduced over runs: parameters are stacked, gradients are block-diagonal, AdamW is
elementwise. A run that diverges fills its own slices with NaN and touches no other. Initial
weights and batches are functions of the seed alone, so a run's result depends neither on its
neighbours, nor on its place, nor on the pack that it is in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from models.adamw import FlatAdamW
from models.multiview import Layout, ModelShape, initial_vector, weights_of
from models.native.engine import NATIVE, NativePack, refusal
from models.pack.batches import BatchSchedule, stream_key
from models.pack.history import History
from models.pack.layers import CHUNK, Matmul, PackedModel, spans_of
from models.pack.loss import LossTerm, PackedObjectives, gamma_of
from models.pack.runs import LOSSES, PackRun, RunState, TrainedRun
from models.pack.step import PackStep, StepGraph, graph_length
from models.pack.validation import Losses, Validation
from models.pairs import LabelledLatents
from models.spec import POOLINGS, ModelSpec, TrainingSpec, precision_refusal


class PackTrainer:
    """Trains runs of equal architecture; between epochs every run's state can be taken out."""

    def __init__(
        self,
        runs: Sequence[PackRun],
        train: LabelledLatents,
        valid: LabelledLatents,
        model: ModelSpec,
        training: TrainingSpec,
        *,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
        states: Mapping[str, RunState] | None = None,
        native: bool = True,
    ) -> None:
        """`states` (by run key) resumes runs, all of them from the same epoch.

        `native`: steps are those of models.native wherever it can train the pack; else torch's.

        ValueError for runs that cannot share a pack, and for options that are unknown.
        """
        # Adam's moments of dead units decay into denormal numbers, which slow a CPU manyfold.
        torch.set_flush_denormal(True)
        _check(runs, model, training)
        _check_device(training, torch.device(device))
        self._keys = [run.key for run in runs]
        self.runs = sorted(runs, key=_place_in_pack)
        self._places = {run.key: place for place, run in enumerate(self.runs)}
        self._training, self._spec = training, model
        self._latents = train.latents.to(device, dtype)  # (N, T, D)
        self.shape = ModelShape.of(self.runs[0].kind, self._latents.shape[2], model)
        self._schedule = BatchSchedule(self.runs, train, valid, training.batch_pairs)
        self._validations = self._make_validations(valid)
        self._calibrated: dict[tuple[int, tuple[LossTerm, ...]], Losses] = {}
        self._set_up_weights()
        self._set_up_engine(native)
        self._set_up_history(states or {})
        self._set_up_step()

    @property
    def epoch(self) -> int:
        """Epochs finished."""
        return len(self._history.losses)

    @property
    def done(self) -> bool:
        """Whether every run has had its epochs or has diverged."""
        return self.epoch >= self._training.epochs or all(self._history.diverged_at)

    def losses(self, key: str) -> dict[str, float]:
        """The run's LOSSES in the last epoch, by name."""
        return self.losses_after(key, self.epoch - 1)[self.epoch]

    def losses_after(self, key: str, epoch: int) -> dict[int, dict[str, float]]:
        """The run's LOSSES in each epoch after that one, by its number from 1."""
        rows = self._history.losses[epoch:, :, self._places[key]].tolist()
        return {n: dict(zip(LOSSES, row, strict=True)) for n, row in enumerate(rows, epoch + 1)}

    def train(
        self, on_epoch: Callable[[PackTrainer], bool | None] | None = None
    ) -> list[TrainedRun]:
        """Train to the last epoch; results in the order in which the runs were given.

        `on_epoch` is called with the trainer after each epoch and stops the training by returning
        True; it may raise.
        """
        while not self.done:
            self.train_epoch()
            if on_epoch is not None and on_epoch(self):
                break
        return self.results()

    def train_epoch(self) -> None:
        """One epoch of every run, its validation, and the best weights."""
        clips = self._schedule.epoch(self.epoch)
        with torch.no_grad():
            if self._native is None:
                trained, validated = self._train_by_torch(clips), self._validate()
            else:
                trained, validated = self._train(self._native, clips)
            losses = torch.cat((trained, validated[None]))  # (steps + 1, 2, K)
        on_host = losses.double().cpu().numpy()  # the epoch's one wait for the device
        self._keep_best(self._history.close_epoch(on_host[:-1], on_host[-1]))

    def _train(self, native: NativePack, clips: Tensor) -> tuple[Tensor, Tensor]:
        """Losses (steps, 2, K) of an epoch of batches `clips` (streams, steps, V·B), and (2, K) of
        the validation after it."""
        done, buffers = self.epoch * self._schedule.steps, self._flat_buffers()[:3]
        trained, validated = native.epoch(buffers, done, clips, self._schedule.of_run)
        return trained, _stacked(validated)

    def _train_by_torch(self, clips: Tensor) -> Tensor:
        """The steps alone, wherever models.native.engine.refusal leaves them to torch."""
        self._step.begin(clips)
        for _ in range(self._schedule.steps // self._length):
            self._steps()
        return self._step.losses

    def state(self, key: str) -> RunState:
        """A copy of all that the run needs to go on after this epoch, on the CPU."""
        place, history = self._places[key], self._history
        vector, exp_avg, exp_avg_sq, best = (
            self._layout.take(flat, place).cpu() for flat in self._flat_buffers()
        )
        return RunState(
            key=key,
            epoch=self.epoch,
            gamma=history.gammas[place],
            vector=vector,
            exp_avg=exp_avg,
            exp_avg_sq=exp_avg_sq,
            best_vector=best,
            best_epoch=history.best_epoch[place],
            diverged_at=history.diverged_at[place],
            losses=torch.from_numpy(history.losses[:, :, place].copy()),
        )

    def results(self) -> list[TrainedRun]:
        """What came out so far, in the order in which the runs were given."""
        return [self._result(self._places[key]) for key in self._keys]

    def _result(self, place: int) -> TrainedRun:
        run, history = self.runs[place], self._history
        best = history.best_epoch[place]
        losses = dict(zip(LOSSES, history.losses[:, :, place].T.copy(), strict=True))
        return TrainedRun(
            key=run.key,
            state=self._outcome(place),
            gamma=history.gammas[place],
            best_epoch=best,
            valid_rec=float(losses["valid_rec"][best - 1]) if best and run.has_decoder else None,
            losses=losses,
            diverged_at=history.diverged_at[place],
            vector=self._layout.take(self._best, place).cpu(),
            shape=self.shape,
            has_decoder=run.has_decoder,
            engine=self.engine,
        )

    def _outcome(self, place: int) -> str:
        if self._history.diverged_at[place] is not None:
            return "diverged"
        return "finished" if self.epoch >= self._training.epochs else "interrupted"

    def _validate(self) -> Tensor:
        """L_rec and L_dis (2, K) of every run over its validation pairs."""
        return _stacked([self._validation_losses(place) for place in range(len(self.runs))])

    def _validation_losses(self, place: int) -> Losses:
        if self._native is not None:
            return self._native.validate(place, self._model.weights)
        run, vector = self.runs[place], self._layout.take(self._model.weights, place)
        weights = weights_of(vector, self.shape, run.has_decoder)
        validation = self._validations[self._schedule.of_run[place]]
        return validation.losses(weights, run.terms, run.has_decoder)

    def _keep_best(self, places: Sequence[int]) -> None:
        """Copy the weights of the runs at `places`, which ascend."""
        index = torch.tensor(places, dtype=torch.long, device=self._best.device)
        current = self._layout.views(self._model.weights)
        for name, best in self._layout.views(self._best).items():
            with_layer = index[: sum(place < len(best) for place in places)]
            best[with_layer] = current[name][with_layer]

    def _make_validations(self, valid: LabelledLatents) -> list[Validation]:
        latents = valid.latents.to(self._latents.device, self._latents.dtype)
        return [
            Validation(latents, self._schedule.validation(number), self.shape, self._spec)
            for number in range(1 + max(self._schedule.of_run))
        ]

    def _set_up_weights(self) -> None:
        decoders = sum(run.has_decoder for run in self.runs)
        self._layout = Layout(self.shape, len(self.runs), decoders)
        spans = spans_of(self._schedule.of_run, decoders, CHUNK.get(self._latents.device.type))
        rows = self._latents.shape[1] * 2 * self._training.batch_pairs
        relu = self._spec.latent_activation == "relu"
        matmul = Matmul(self._training.precision)
        self._model = PackedModel(self._layout, spans, rows, relu, self._latents, matmul)
        for place, run in enumerate(self.runs):
            first = initial_vector(self.shape, run.has_decoder, run.seed)
            self._layout.put(self._model.weights, place, first)
        self._best = self._model.weights.clone()
        self._optimizer = FlatAdamW(
            self._model.weights,
            self._model.gradient,
            self._training.lr,
            self._training.weight_decay,
        )

    def _set_up_history(self, states: Mapping[str, RunState]) -> None:
        resumed = [states.get(run.key) for run in self.runs]
        epochs = {0 if state is None else state.epoch for state in resumed}
        if len(epochs) > 1:
            raise ValueError(
                f"runs stopped after epochs {sorted(epochs)} cannot share a pack; "
                "pack runs of equal epochs together"
            )
        gammas = [
            self._gamma(place) if state is None else state.gamma
            for place, state in enumerate(resumed)
        ]
        self._history = History(self.runs, gammas)
        self._load([state for state in resumed if state is not None])

    def _set_up_engine(self, native: bool) -> None:
        reason = refusal(self.runs, self._training, self._latents) if native else "asked for"
        self.engine = f"torch: {reason}" if reason else NATIVE
        self._native = None
        if not reason:
            self._native = NativePack(
                self.runs,
                self._layout,
                self._latents,
                self._spec,
                self._training,
                [self._validations[stream] for stream in self._schedule.of_run],
            )

    def _set_up_step(self) -> None:
        total = self._history.total
        if self._native is not None:
            self._native.weigh(total.rec_weights.tolist(), total.disentangle_weights.tolist())
        objectives = PackedObjectives(
            [run.terms for run in self.runs],
            self._latents.new_tensor(total.disentangle_weights),
            self._spec.pool,
        )
        self._step = PackStep(
            self._latents,
            self._schedule.steps,
            self.shape,
            self._model,
            objectives,
            self._optimizer,
            self._latents.new_tensor(total.rec_weights),
        )
        self._length = graph_length(self._schedule.steps)
        self._steps = StepGraph(self._step, self._length, self._latents.device)

    def _load(self, states: Sequence[RunState]) -> None:
        """Take over the states of all runs, or of none."""
        for place, state in enumerate(states):
            vectors = (state.vector, state.exp_avg, state.exp_avg_sq, state.best_vector)
            for flat, vector in zip(self._flat_buffers(), vectors, strict=True):
                self._layout.put(flat, place, vector)
            self._history.best_epoch[place] = state.best_epoch
            self._history.diverged_at[place] = state.diverged_at
        if states:
            self._history.losses = np.stack([state.losses.numpy() for state in states], axis=2)
            self._optimizer.steps.fill_(self.epoch * self._schedule.steps)

    def _flat_buffers(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        optimizer = self._optimizer
        return self._model.weights, optimizer.exp_avg, optimizer.exp_avg_sq, self._best

    def _gamma(self, place: int) -> float | None:
        """γ of a run, from its first weights and the validation pairs of its seed."""
        run = self.runs[place]
        if not run.needs_gamma:
            return None
        if run.loss.fixed_gamma is not None:
            return run.loss.fixed_gamma
        first = self._first_losses(place)
        rule = run.loss.gamma or ""
        return gamma_of(rule, float(first.magnitude), float(first.rec), run.reference_mse)

    def _first_losses(self, place: int) -> Losses:
        """Validation losses before training: runs that differ in λ alone share them."""
        key = (self._schedule.of_run[place], self.runs[place].terms)
        if key not in self._calibrated:
            with torch.no_grad():
                self._calibrated[key] = self._validation_losses(place)
        return self._calibrated[key]


def _stacked(losses: Sequence[Losses]) -> Tensor:
    """L_rec and L_dis (2, K) of K runs."""
    return torch.stack([torch.stack((of_run.rec, of_run.dis)) for of_run in losses], dim=1)


def _place_in_pack(run: PackRun) -> tuple[object, ...]:
    """Runs with a decoder first, runs of a stream together, equal terms beside each other."""
    objective = ("SEP", "SIM+SEP", "SIM").index(run.objective) if run.objective else 0
    return (
        not run.has_decoder,
        *stream_key(run),
        run.principle or "",
        objective,
        run.key,
    )


def _check_device(training: TrainingSpec, device: torch.device) -> None:
    capability = torch.cuda.get_device_capability(device) if device.type == "cuda" else None
    if reason := precision_refusal(training.precision, device.type, capability):
        raise ValueError(reason)


def _check(runs: Sequence[PackRun], model: ModelSpec, training: TrainingSpec) -> None:
    model.check()
    training.check()
    if model.pool not in POOLINGS:
        raise ValueError(f"pooling is still '{model.pool}'; choose one of {', '.join(POOLINGS)}")
    keys = {run.key for run in runs}
    if not runs or len(keys) < len(runs):
        raise ValueError("a pack needs at least one run, and a key of its own for each")
    if len({run.kind == "multiview" for run in runs}) > 1:
        raise ValueError("multi-view and contrastive runs differ in shape; pack them apart")
