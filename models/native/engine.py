"""The training steps of a pack on the CPU by step.c: a run after another, as many at once as torch
has threads.

A run's weights and moments come in and go out as multiview.Layout has them, so checkpoints, best
weights and validation are the trainer's own. A run is a function of its own weights and batches:
its bits depend neither on its pack nor on the number of threads.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from queue import SimpleQueue

import torch
from torch import Tensor

from models.adamw import BETAS, EPS
from models.multiview import Layout, ModelShape
from models.native.build import AdamW, Run, Sizes, built
from models.objectives import PRINCIPLES, Objective
from models.pack.loss import LossTerm
from models.pack.runs import PackRun
from models.pack.validation import Losses, Validation
from models.spec import LossSpec, ModelSpec, TrainingSpec

NATIVE = "native"
# The terms of L_dis that step.c knows, by their numbers there.
TERMS = {
    (principle, side): 1 + 2 * number + (side == "sep")
    for number, principle in enumerate(("InfoNCE", "Cosine", "VICReg"))
    for side in ("sim", "sep")
}
# Operations of one call: what a signal waits for, some tenths of a second.
CALL = 2e10


def refusal(runs: Sequence[PackRun], training: TrainingSpec, latents: Tensor) -> str | None:
    """Why a pack is trained by torch; None where step.c trains it."""
    if reason := elsewhere(latents):
        return reason
    if latents.dtype != torch.float32:
        return str(latents.dtype).removeprefix("torch.")
    if training.precision != "ieee" and not (training.precision == "bf16" and has_bf16()):
        return training.precision
    for term in dict.fromkeys(term for run in runs for term in run.terms):
        if (term.principle, term.side) not in TERMS:
            return f"{term.principle} is a principle of your own"
    for term in dict.fromkeys(term for run in runs for term in run.terms):
        if not agrees(term):
            return f"{term.principle} is not the one that step.c knows"
    return None


def elsewhere(features: Tensor) -> str | None:
    """Why nothing native can be had for tensors like this one."""
    if features.device.type != "cpu":
        return features.device.type
    library = built()
    return library.how if library.library is None else None


def has_bf16() -> bool:
    """Whether there are native steps in bf16: it takes a processor that multiplies such numbers."""
    library = built().library
    return library is not None and bool(library.has_halves())


@dataclass(frozen=True)
class Workplace:
    """Memory in which one thread trains a run, and then another."""

    arena: Tensor
    z: Tensor  # of all clips to be validated


class NativePack:
    """Epochs of a pack's training, and its validation."""

    def __init__(
        self,
        runs: Sequence[PackRun],
        layout: Layout,
        latents: Tensor,  # (N, T, D)
        model: ModelSpec,
        training: TrainingSpec,
        validations: Sequence[Validation],  # one a run
    ) -> None:
        library = built().library
        assert library is not None
        self._library, self._layout, self._validations = library, layout, validations
        self._latents = latents.contiguous()
        self._sizes = sizes_of(
            layout.shape,
            model,
            latents.shape[1],
            training.batch_pairs,
            bf16=training.precision == "bf16",
        )
        self._runs = [run_of(run.has_decoder, run.terms, layout.shape) for run in runs]
        self._adamw = AdamW(training.lr, training.weight_decay, *BETAS, EPS)
        rows = latents.shape[1] * 2 * training.batch_pairs
        self._block = max(1, int(CALL / (6 * rows * Layout(layout.shape, 1, 1).size)))

    def weigh(self, rec_weights: Sequence[float], dis_weights: Sequence[float]) -> None:
        """Sets γλ and 1 − λ of each run."""
        for run, rec, dis in zip(self._runs, rec_weights, dis_weights, strict=True):
            run.rec_weight, run.dis_weight = rec, dis

    def epoch(
        self,
        buffers: Sequence[Tensor],
        done: int,
        clips: Tensor,
        streams: Sequence[int],
    ) -> tuple[Tensor, list[Losses]]:
        """Losses (steps, 2, K) of an epoch's steps, the weights moved on in place, and each run's
        validation after them.

        `buffers`: the pack's weights and AdamW's two moments; `done` steps they have had; `clips`
        (streams, steps, 2·B), and which stream is each run's.
        """
        losses = torch.empty(len(self._runs), clips.shape[1], 2)
        threads = min(torch.get_num_threads(), len(self._runs))
        workplaces: SimpleQueue[Workplace] = SimpleQueue()
        for _ in range(threads):
            workplaces.put(self._workplace())

        def train(place: int) -> Losses:
            workplace = workplaces.get()
            own = clips[streams[place]]
            self._train(place, workplace.arena, buffers, done, own, losses[place])
            validated = self._validate(place, workplace)
            workplaces.put(workplace)
            return validated

        places = range(len(self._runs))
        if threads == 1:
            return losses.permute(1, 2, 0), list(map(train, places))
        with ThreadPoolExecutor(threads) as executor:
            return losses.permute(1, 2, 0), list(executor.map(train, places))

    def validate(self, place: int, weights: Tensor) -> Losses:
        """Losses of one run with the pack's `weights` over its validation pairs."""
        workplace, run = self._workplace(), self._runs[place]
        vector = self._layout.take(weights, place)
        nothing = torch.zeros_like(vector)
        addresses = (vector.data_ptr(), nothing.data_ptr(), nothing.data_ptr())
        self._library.load(
            workplace.arena.data_ptr(),
            ctypes.byref(self._sizes),
            run.decoder,
            *addresses,
        )
        return self._validate(place, workplace)

    def _workplace(self) -> Workplace:
        clips = max(len(validation.latents) for validation in self._validations)
        features = self._library.latent_features(ctypes.byref(self._sizes))
        z = torch.empty(clips, self._sizes.tokens, features)
        return Workplace(arena_of(self._sizes), z)

    def _train(
        self,
        place: int,
        arena: Tensor,
        buffers: Sequence[Tensor],
        done: int,
        clips: Tensor,  # (steps, 2·B)
        losses: Tensor,  # (steps, 2)
    ) -> None:
        sizes, run = ctypes.byref(self._sizes), self._runs[place]
        vectors = [self._layout.take(flat, place) for flat in buffers]
        addresses = [vector.data_ptr() for vector in vectors]
        self._library.load(arena.data_ptr(), sizes, run.decoder, *addresses)
        for start in range(0, len(clips), self._block):
            batches = clips[start : start + self._block].contiguous()
            self._library.train(
                arena.data_ptr(),
                sizes,
                ctypes.byref(run),
                ctypes.byref(self._adamw),
                done + start,
                self._latents.data_ptr(),
                batches.data_ptr(),
                len(batches),
                losses[start:].data_ptr(),
            )
        self._library.save(arena.data_ptr(), sizes, run.decoder, *addresses)
        for flat, vector in zip(buffers, vectors, strict=True):
            self._layout.put(flat, place, vector)

    def _validate(self, place: int, workplace: Workplace) -> Losses:
        """With the weights that lie in the arena."""
        run, validation = self._runs[place], self._validations[place]
        losses = torch.empty(3, dtype=torch.float64)
        self._library.validate(
            workplace.arena.data_ptr(),
            ctypes.byref(self._sizes),
            ctypes.byref(run),
            validation.latents.data_ptr(),
            len(validation.latents),
            validation.shares.data_ptr(),
            validation.batches.data_ptr(),
            len(validation.batches),
            workplace.z.data_ptr(),
            losses.data_ptr(),
        )
        if not run.decoder:
            losses[0] = math.nan
        if not any(run.terms):
            losses[1:] = math.nan
        return Losses(*losses.float())


def sizes_of(
    shape: ModelShape, model: ModelSpec, tokens: int, pairs: int, bf16: bool = False
) -> Sizes:
    """As step.c takes them."""
    relu = model.latent_activation == "relu"
    return Sizes(
        tokens,
        pairs,
        shape.features,
        shape.hidden,
        shape.latent,
        shape.subspaces,
        model.pool == "mean",
        relu,
        bf16,
    )


def run_of(decoder: bool, terms: Sequence[LossTerm], shape: ModelShape) -> Run:
    """As step.c takes it, both losses weighed by one."""
    of_subspace = [0, 0]
    for term in terms:
        of_subspace[term.subspace % shape.subspaces] = TERMS[term.principle, term.side]
    options = terms[0].options if terms else LossSpec()
    return Run(
        decoder,
        (ctypes.c_int * 2)(*of_subspace),
        1,
        1,
        options.temperature or 0,
        options.epsilon or 0,
        *(options.vicreg or (0, 0, 0)),
    )


def arena_of(sizes: Sizes) -> Tensor:
    """Memory for one run's training."""
    library = built().library
    assert library is not None
    return torch.empty(library.arena_bytes(ctypes.byref(sizes)), dtype=torch.uint8)


def terms_alone(
    terms: Sequence[LossTerm], shape: ModelShape, model: ModelSpec, z: Tensor
) -> tuple[float, Tensor]:
    """L_dis and its gradient, of latents z (S, 2, B, T, L) in float32."""
    library = built().library
    assert library is not None
    sizes = sizes_of(shape, model, z.shape[3], z.shape[2])
    run = run_of(False, terms, shape)
    z, dz, arena = z.contiguous(), torch.empty_like(z), arena_of(sizes)
    pointers = (ctypes.byref(sizes), ctypes.byref(run), z.data_ptr(), dz.data_ptr())
    return library.terms_alone(arena.data_ptr(), *pointers), dz


def agrees(term: LossTerm) -> bool:
    """Whether step.c's term is the one registered under its name: it is tried on a few numbers.

    Whoever edits a principle, or registers another under its name, gets what he wrote.
    """
    registered = PRINCIPLES[term.principle]
    return _agrees(term, registered.sim, registered.sep)


@cache
def _agrees(term: LossTerm, _sim: Objective, _sep: Objective) -> bool:
    shape, model = ModelShape(1, 3, 3, 3), ModelSpec(pool="flatten")
    z = torch.randn(1, 2, 5, 2, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    with torch.enable_grad():
        wanted = term(*z[0].flatten(-2)[:, None])
    (gradient,) = torch.autograd.grad(wanted, z)
    loss, own = terms_alone([term], shape, model, z.detach())
    same = math.isclose(loss, wanted.item(), rel_tol=1e-3)
    return same and torch.allclose(own, gradient, rtol=1e-3, atol=1e-5)
