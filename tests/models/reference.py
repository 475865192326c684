"""One run trained the plain way: nn.Module, autograd, torch.optim.AdamW, a loop over batches."""

from __future__ import annotations

import torch
from torch import nn

from models.multiview import ModelSpec
from models.objectives import PRINCIPLES
from models.pack.runs import Clips, PackRun, TrainingSpec
from models.pairs import batches, sampler_of, training_pairs, validation_pairs


class Autoencoder(nn.Module):
    def __init__(self, features: int, spec: ModelSpec, kind: str, decoder: bool) -> None:
        super().__init__()
        hidden = spec.hidden or features
        latent = features // 2 if kind == "multiview" else features
        self.encoders = nn.ModuleList(
            nn.Sequential(nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, latent))
            for _ in range(2 if kind == "multiview" else 1)
        )
        if decoder:
            self.decoder = nn.Sequential(
                nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, features)
            )
        self.spec = spec

    def encode(self, x):
        latents = [encoder(x) for encoder in self.encoders]
        return [z.relu() for z in latents] if self.spec.latent_activation == "relu" else latents

    def losses(self, x1, x2, run: PackRun):
        """L_rec and L_dis of one batch of pairs."""
        z1, z2 = self.encode(x1), self.encode(x2)
        rec = torch.zeros((), dtype=x1.dtype)
        if run.decoded:
            both = torch.cat((x1, x2))
            rec = (self.decoder(torch.cat([torch.cat(z, -1) for z in (z1, z2)])) - both) ** 2
        return rec.mean(), self.disentanglement(z1, z2, run)

    def disentanglement(self, z1, z2, run):
        if run.kind != "multiview":
            return self.objective("InfoNCE", "sim", z1[0], z2[0], run)
        dis = torch.zeros((), dtype=z1[0].dtype)
        if run.lam == 1:
            return dis
        if "SIM" in run.objective:
            dis = dis + self.objective(run.principle, "sim", z1[1], z2[1], run)
        if "SEP" in run.objective:
            dis = dis + self.objective(run.principle, "sep", z1[0], z2[0], run)
        return dis

    def objective(self, principle, side, z1, z2, run):
        flat = [z.mean(1) if self.spec.pool == "mean" else z.flatten(1) for z in (z1, z2)]
        return getattr(PRINCIPLES[principle], side)(flat[0][None], flat[1][None], run.options)[0]


def initial_module(run: PackRun, features: int, spec: ModelSpec) -> Autoencoder:
    with torch.random.fork_rng():
        torch.manual_seed(run.seed)
        return Autoencoder(features, spec, run.kind, run.decoded).double()


def mean_losses(module, run, clips, index):
    with torch.no_grad():
        rows = [
            torch.stack(module.losses(clips.latents[b[0]], clips.latents[b[1]], run)) for b in index
        ]
    return torch.stack(rows)


def train_reference(
    run: PackRun, train: Clips, valid: Clips, spec: ModelSpec, training: TrainingSpec, gamma: float
):
    """The trained module and its losses (epochs, 2, 2): train and valid, L_rec and L_dis."""
    module = initial_module(run, train.latents.shape[2], spec)
    optimizer = torch.optim.AdamW(
        module.parameters(), lr=training.lr, weight_decay=training.weight_decay
    )
    sampler = sampler_of(run.kind, train.family, train.pitch)
    fixed = validation_pairs(sampler_of(run.kind, valid.family, valid.pitch), run.seed)
    history = []
    for epoch in range(training.epochs):
        steps = []
        for b in batches(training_pairs(sampler, run.seed, epoch), training.batch_pairs):
            rec, dis = module.losses(train.latents[b[0]], train.latents[b[1]], run)
            lam = run.lam or 0.0
            optimizer.zero_grad()
            (gamma * lam * rec + (1 - lam) * dis).backward()
            optimizer.step()
            steps.append(torch.stack((rec.detach(), dis.detach())))
        checked = mean_losses(module, run, valid, batches(fixed, training.batch_pairs))
        history.append(torch.stack((torch.stack(steps).mean(0), checked.mean(0))))
    return module, torch.stack(history)


def flat_parameters(module: Autoencoder) -> torch.Tensor:
    """The module's parameters in the order of multiview.Layout."""
    encoders = module.encoders
    parts = [encoder[0].weight for encoder in encoders] + [encoder[0].bias for encoder in encoders]
    parts += [encoder[2].weight for encoder in encoders] + [encoder[2].bias for encoder in encoders]
    if hasattr(module, "decoder"):
        parts += list(module.decoder.parameters())
    return torch.cat([part.detach().flatten() for part in parts])
