"""What a user would train with today: the same runs, weights and batches without a pack.

Letters: K runs, N clips, B pairs of a batch, V = 2 views, T tokens, D features, L latent features.
All train the module of models.reference. Their L_dis is the trainer's own, which is no slower than
the reference's (under VICReg it takes half the time), so that they lose nothing by it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from itertools import count, islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.utils.data import DataLoader, Dataset

from models.multiview import pool
from models.pack.loss import LossTerm
from models.pack.runs import PackRun
from models.reference import MultiView, initial_model, total_loss
from sweeper.bench.problem import MODEL, Problem

Pair = tuple[Tensor, Tensor]

SUBSPACES = {"sep": "private", "sim": "shared"}


def initial_module(problem: Problem, run: PackRun) -> MultiView:
    """The module that torch.manual_seed(seed) gives, which is what the pack starts from."""
    return initial_model(problem.features, run, MODEL).to(problem.device, problem.dtype)


def losses_of(module: nn.Module, run: PackRun, x: Tensor) -> tuple[Tensor, Tensor]:
    """L_rec and L_dis of one batch x (2·B, T, D), view 1 before view 2."""
    latents, reconstruction = module(x)
    rec = x.new_zeros(()) if reconstruction is None else (reconstruction - x).square().mean()
    terms = (_term_loss(term, latents[SUBSPACES[term.side]][None])[0] for term in run.terms)
    return rec, sum(terms, x.new_zeros(()))


def _term_loss(term: LossTerm, z: Tensor) -> Tensor:
    """A term of L_dis (K,) from the latents z (K, 2·B, T, L) that it acts on."""
    first, second = pool(z, MODEL.pool).chunk(2, dim=1)
    return term(first, second)


def total_of(run: PackRun, rec: Tensor, dis: Tensor) -> Tensor:
    """L_total by the run's γ, which is fixed."""
    return total_loss(rec, dis, run.lam, run.loss.fixed_gamma or 1.0)


class Pairs(Dataset[Pair]):
    """One epoch of a run's pairs, in the order of its batches."""

    def __init__(self, latents: Tensor, index: Tensor) -> None:
        """`latents` (N, T, D), `index` (steps, 2, B) of clips."""
        self._latents = latents
        self._first, self._second = index.transpose(0, 1).flatten(1)

    def __len__(self) -> int:
        return len(self._first)

    def __getitem__(self, number: int) -> Pair:
        return self._latents[self._first[number]], self._latents[self._second[number]]


class PlainLoop:
    """B0: nn.Module, DataLoader, torch.optim.AdamW as it comes, loss.item() at every step."""

    flush_denormal = False

    def __init__(self, problem: Problem, run: PackRun) -> None:
        self.run, self._problem = run, problem
        self.module = initial_module(problem, run)
        self.optimizer = torch.optim.AdamW(
            self.module.parameters(), lr=problem.lr, weight_decay=problem.weight_decay
        )
        self.history: list[tuple[float, float]] = []  # L_rec and L_dis of every step
        self._batches = self._endless()

    def train(self, steps: int) -> None:
        for first, second in islice(self._batches, steps):
            x = torch.cat((first, second)).to(self._problem.device)
            rec, dis = losses_of(self.module, self.run, x)
            self.optimizer.zero_grad()
            total_of(self.run, rec, dis).backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            self.history.append((rec.item(), dis.item()))

    def _endless(self) -> Iterator[Pair]:
        latents = self._problem.latents().cpu()
        for epoch in count():
            pairs = Pairs(latents, self._problem.batches(self.run, epoch))
            yield from DataLoader(pairs, batch_size=self._problem.batch_pairs)


class TunedLoop:
    """B1: data resident and gathered by index, fused AdamW, flush-denormal, no reading back."""

    flush_denormal = True

    def __init__(self, problem: Problem, run: PackRun) -> None:
        self.run, self._problem = run, problem
        self.module = initial_module(problem, run)
        self.optimizer = torch.optim.AdamW(
            self.module.parameters(),
            lr=problem.lr,
            weight_decay=problem.weight_decay,
            fused=True,
            capturable=problem.device == "cuda",
        )
        self._latents = problem.latents()
        self._index = torch.zeros(2 * problem.batch_pairs, dtype=torch.long, device=problem.device)
        self._batches = _endless_indices(problem, run)
        self.losses = torch.zeros(2, dtype=problem.dtype, device=problem.device)  # of the last step

    def train(self, steps: int) -> None:
        for index in islice(self._batches, steps):
            self._index.copy_(index)
            self._advance()

    def _advance(self) -> None:
        self._step()

    def _step(self) -> None:
        rec, dis = losses_of(self.module, self.run, self._latents[self._index])
        self.optimizer.zero_grad()
        total_of(self.run, rec, dis).backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.losses.copy_(torch.stack((rec.detach(), dis.detach())))


class GraphedLoop(TunedLoop):
    """B2: B1 with the whole step in one CUDA graph."""

    _graph: Any = None

    def _advance(self) -> None:
        if self._graph is None:
            self._graph = self._captured()
        self._graph.replay()

    def _captured(self) -> Any:
        """The graph of a step; capturing runs nothing."""
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            self._rehearse()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._step()
        return graph

    def _rehearse(self) -> None:
        """A few steps that capture needs to have seen, taken back."""
        before = copy.deepcopy(self.module.state_dict())
        for _ in range(3):
            self._step()
        self.module.load_state_dict(before)
        for state in self.optimizer.state.values():
            for tensor in state.values():
                tensor.zero_()
        self.optimizer.zero_grad()  # so that the gradients come from the graph's own pool


class StackedLoop:
    """torch.func: stacked modules, one vmapped forward, each term of L_dis batched, fused AdamW."""

    flush_denormal = True

    def __init__(self, problem: Problem, runs: tuple[PackRun, ...]) -> None:
        """ValueError when the runs do not share their batches, or one has no decoder."""
        if len({(run.seed, run.kind) for run in runs}) > 1 or not all(r.has_decoder for r in runs):
            raise ValueError("vmap needs runs of one seed and one architecture; split them")
        modules = [initial_module(problem, run) for run in runs]
        self.parameters, _ = stack_module_state(modules)
        skeleton = copy.deepcopy(modules[0]).to("meta")

        def forward(parameters: dict[str, Tensor], x: Tensor) -> Any:
            return functional_call(skeleton, parameters, (x,))

        self._forward = vmap(forward, in_dims=(0, None))
        self.optimizer = torch.optim.AdamW(
            list(self.parameters.values()),
            lr=problem.lr,
            weight_decay=problem.weight_decay,
            fused=True,
        )
        self._latents = problem.latents()
        self._batches = _endless_indices(problem, runs[0])
        # total_of is linear: what it makes of an L_rec or an L_dis of 1 is the weight of either.
        rec, dis = torch.eye(2, dtype=problem.dtype)
        weights = [total_of(run, rec, dis) for run in runs]
        self._weights = torch.stack(weights, dim=1).to(problem.device)  # (2, K)
        self._members = [
            (term, torch.tensor([i for i, run in enumerate(runs) if term in run.terms]))
            for term in dict.fromkeys(term for run in runs for term in run.terms)
        ]

    def train(self, steps: int) -> None:
        for index in islice(self._batches, steps):
            x = self._latents[index]
            latents, reconstruction = self._forward(self.parameters, x)
            total = self._weights[0] @ (reconstruction - x).square().mean((1, 2, 3))
            for term, members in self._members:
                dis = _term_loss(term, latents[SUBSPACES[term.side]][members])
                total = total + self._weights[1, members] @ dis
            self.optimizer.zero_grad()
            total.backward()
            self.optimizer.step()


def _endless_indices(problem: Problem, run: PackRun) -> Iterator[Tensor]:
    """Clips (2·B,) of every batch, on the device an epoch at a time."""
    for epoch in count():
        yield from problem.batches(run, epoch).flatten(1).to(problem.device)
