"""The paper's model, losses, training and probe, the plain way. Read this first.

The rest of models/ does the same for many runs at once; tests and `sweeper bench` hold it to
this. Sections and equations are the paper's. Letters: V = 2 views, B pairs of a batch, T tokens
of a clip, D features of a token, L features of a latent token, F features of a clip.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.pairs import (
    Indices,
    LabelledLatents,
    batches,
    training_pairs,
    validation_pairs,
)
from models.spec import ModelSpec, ProbeSpec, RunSpec, TrainingSpec

# --- the model, section 2.1


class MultiView(nn.Module):
    """Encoders of private and shared latents and a decoder, the same for both views."""

    def __init__(self, features: int, run: RunSpec, spec: ModelSpec) -> None:
        super().__init__()
        hidden = spec.hidden or features
        # A contrastive baseline is the shared encoder alone, its latents twice as wide (3.6).
        names = ("private", "shared") if run.kind == "multiview" else ("shared",)
        latent = features // len(names)
        self.encoders = nn.ModuleDict({name: mlp(features, hidden, latent) for name in names})
        self.decoder = mlp(features, hidden, features) if run.has_decoder else None
        self.activation = nn.ReLU() if spec.latent_activation == "relu" else nn.Identity()

    def forward(self, x: Tensor) -> tuple[dict[str, Tensor], Tensor | None]:
        """Latents (…, T, L) and the reconstruction (…, T, D) of x (…, T, D)."""
        z = {name: self.activation(encoder(x)) for name, encoder in self.encoders.items()}
        return z, self.decoder(torch.cat(list(z.values()), -1)) if self.decoder else None


def mlp(features: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, outputs))


def initial_model(features: int, run: RunSpec, spec: ModelSpec) -> MultiView:
    """The model from which every run of a seed starts."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed)
        return MultiView(features, run, spec)


# --- the objectives, section 2.2, of one vector a clip (B, F) of each view


def similarities(z1: Tensor, z2: Tensor) -> Tensor:
    """sim (B, B) of every clip of view 1 with every clip of view 2: their cosine."""
    return functional.normalize(z1, dim=-1) @ functional.normalize(z2, dim=-1).mT


def separation(sim: Tensor, epsilon: float) -> Tensor:
    """|sim|, because "towards 0" is the aim and not −1."""
    return -(1 - sim.abs()).clamp(min=epsilon).log().mean()


def infonce_sim(z1: Tensor, z2: Tensor, temperature: float) -> Tensor:
    """Equation 1: which clip of view 2 belongs to a clip of view 1?"""
    partners = torch.arange(len(z1), device=z1.device)
    return functional.cross_entropy(similarities(z1, z2) / temperature, partners)


def infonce_sep(z1: Tensor, z2: Tensor, epsilon: float) -> Tensor:
    """Equation 2: over all pairs of the batch."""
    return separation(similarities(z1, z2), epsilon)


def cosine_sim(z1: Tensor, z2: Tensor, epsilon: float) -> Tensor:
    """Equation 3: over matched pairs. Below epsilon, and where log has no value, it is linear."""
    sim = functional.cosine_similarity(z1, z2, dim=-1)
    positive = sim.clamp(min=epsilon)
    return (positive - sim - positive.log()).mean()


def cosine_sep(z1: Tensor, z2: Tensor, epsilon: float) -> Tensor:
    """Equation 4: over matched pairs."""
    return separation(functional.cosine_similarity(z1, z2, dim=-1), epsilon)


def vicreg(z1: Tensor, z2: Tensor, invariance: float, variance: float, covariance: float) -> Tensor:
    """Bardes et al. 2022, as in the authors' code; separation negates the invariance."""
    loss = invariance * functional.mse_loss(z1, z2)
    for z in (z1, z2):
        centred = z - z.mean(0)
        hinge = (1 - (centred.var(0) + 1e-4).sqrt()).relu().mean()
        cov = centred.mT @ centred / (len(z) - 1)  # (F, F)
        off_diagonal = cov.square().sum() - cov.diagonal().square().sum()
        loss = loss + variance * hinge / 2 + covariance * off_diagonal / z.shape[1]
    return loss


OBJECTIVES: dict[str, Callable[[Tensor, Tensor, Any], Tensor]] = {
    "InfoNCE-SIM": lambda z1, z2, loss: infonce_sim(z1, z2, loss.temperature),
    "InfoNCE-SEP": lambda z1, z2, loss: infonce_sep(z1, z2, loss.epsilon),
    "Cosine-SIM": lambda z1, z2, loss: cosine_sim(z1, z2, loss.epsilon),
    "Cosine-SEP": lambda z1, z2, loss: cosine_sep(z1, z2, loss.epsilon),
    "VICReg-SIM": lambda z1, z2, loss: vicreg(z1, z2, *loss.vicreg),
    "VICReg-SEP": lambda z1, z2, loss: vicreg(z1, z2, -loss.vicreg[0], *loss.vicreg[1:]),
}


def objectives_of(run: RunSpec) -> dict[str, str]:
    """The objectives of a run, and the latents that each acts on; none at λ = 1."""
    if run.kind != "multiview":
        return {"InfoNCE-SIM": "shared"}
    types = run.objective.split("+") if run.objective and run.lam != 1 else []
    return {f"{run.principle}-{type}": {"SIM": "shared", "SEP": "private"}[type] for type in types}


# --- the loss, section 3.2


def losses(model: nn.Module, x: Tensor, run: RunSpec, pool: str) -> tuple[Tensor, Tensor]:
    """L_rec and L_dis of a batch x (V, B, T, D); 0 where the run has no such loss."""
    z, reconstruction = model(x)
    rec, dis = x.new_zeros(2)
    if reconstruction is not None:
        rec = functional.mse_loss(reconstruction, x)
    for objective, subspace in objectives_of(run).items():
        z1, z2 = z[subspace].mean(-2) if pool == "mean" else z[subspace].flatten(-2)
        dis = dis + OBJECTIVES[objective](z1, z2, run.loss)
    return rec, dis


def total_loss(rec: Tensor, dis: Tensor, lam: float | None, gamma: float) -> Tensor:
    """Equation 5; a contrastive baseline, which has no λ, has L_dis alone."""
    return gamma * (lam or 0.0) * rec + (1 - (lam or 0.0)) * dis


def gamma_of(rule: str, rec: float, magnitude: float, converged: float | None) -> float:
    """γ from L_rec and |L_dis| at initialisation, and the λ = 1 run's best validation L_rec."""
    if rule.startswith("fixed:"):
        return float(rule.removeprefix("fixed:"))
    if rule == "init-ratio" or converged is None:
        return magnitude / rec
    return magnitude / (converged if rule == "converged-ratio" else math.sqrt(rec * converged))


# --- training, section 3.3


def train(
    run: RunSpec,
    clips: LabelledLatents,
    valid: LabelledLatents,
    spec: ModelSpec,
    training: TrainingSpec,
    converged: float | None = None,
) -> tuple[MultiView, Tensor]:
    """The model of the best epoch by total validation loss; and the losses of all epochs.

    Losses (epochs, 2, 2): of training and validation, L_rec and L_dis. `converged`: see gamma_of.
    """
    model = initial_model(clips.latents.shape[-1], run, spec).to(clips.latents.dtype)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=training.lr, weight_decay=training.weight_decay
    )
    sampler = clips.sampler(run.pairing)
    fixed = validation_pairs(valid.sampler(run.pairing), run.seed)
    checks = batches(fixed, training.batch_pairs)
    rec, magnitude = losses_over(model, valid, checks, run, spec.pool).abs().mean(0)
    gamma = 1.0
    if run.needs_gamma and run.loss.gamma:
        gamma = gamma_of(run.loss.gamma, float(rec), float(magnitude), converged)
    best, least, history = copy.deepcopy(model), math.inf, []
    for epoch in range(training.epochs):
        steps = []
        for batch in batches(training_pairs(sampler, run.seed, epoch), training.batch_pairs):
            rec, dis = losses(model, clips.latents[torch.from_numpy(batch)], run, spec.pool)
            optimizer.zero_grad()
            total_loss(rec, dis, run.lam, gamma).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            steps.append(torch.stack((rec, dis)).detach())
        validated = losses_over(model, valid, checks, run, spec.pool).mean(0)
        history.append(torch.stack((torch.stack(steps).mean(0), validated)))
        total = float(total_loss(validated[0], validated[1], run.lam, gamma))
        if total < least:
            best, least = copy.deepcopy(model), total
    return best, torch.stack(history)


@torch.no_grad()
def losses_over(
    model: nn.Module, clips: LabelledLatents, index: Indices, run: RunSpec, pool: str
) -> Tensor:
    """L_rec and L_dis (steps, 2) of batches `index` (steps, V, B) of clips."""
    x = (clips.latents[torch.from_numpy(batch)] for batch in index)
    return torch.stack([torch.stack(losses(model, batch, run, pool)) for batch in x])


# --- the linear probe, section 3.4


def probe(
    head: nn.Linear,
    x: Tensor,
    labels: Tensor,
    split: tuple[Tensor, Tensor, Tensor],
    spec: ProbeSpec,
    epochs: Iterable[Iterable[tuple[Tensor, Tensor]]],
) -> tuple[float, float]:
    """Validation and test accuracy of a head at its best epoch by validation accuracy.

    `x` (N, F) features; `split`: clips to train on, to validate and to test; `epochs`: batches of
    clips, each with its dropout mask (B, F).
    """
    x = (x - x[split[0]].mean(0)) / x[split[0]].std(0)
    optimizer = torch.optim.AdamW(head.parameters(), lr=spec.lr, weight_decay=spec.weight_decay)
    best = (-1.0, 0.0)
    for epoch in epochs:
        for clips, mask in epoch:
            loss = functional.cross_entropy(head(x[clips] * mask), labels[clips])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        right = head(x).argmax(-1) == labels
        valid, test = (float(right[clips].float().mean()) for clips in split[1:])
        if valid > best[0]:
            best = (valid, test)
    return best
