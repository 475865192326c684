"""Every option once: what a run is, and how runs are trained and probed. Needs no torch.

The names and defaults of the specs' fields are part of every run's key (sweeper.study.config).
"""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass, field

BASELINES = ("encoder", "cl-pitch", "cl-instrument")

CL = "cl-"  # before the factor that the pairs of a contrastive baseline share


def differing(share: str) -> str:
    """The factor in which the views of a pair differ where nothing else is said."""
    return "instrument" if share == "pitch" else "pitch"


# Similarity acts on shared latents, separation on private ones. The principles, which are
# functions of tensors, are registered in models.objectives.
OBJECTIVES: dict[str, tuple[str, ...]] = {
    "SIM": ("sim",),
    "SEP": ("sep",),
    "SIM+SEP": ("sim", "sep"),
}

# What |L_dis| at initialisation is divided by: L_rec at initialisation, L_rec of the
# reconstruction-only run of the seed once that has converged, or the geometric mean of the two.
GAMMA_RULES = ("init-ratio", "geometric-ratio", "converged-ratio")
REFERRING = GAMMA_RULES[1:]  # rules that need the reconstruction-only run

LATENT_ACTIVATIONS = ("none", "relu")
POOLINGS = ("flatten", "mean")  # of a clip's tokens

# Of the layers' products. ieee: as the operands are. tf32: operands rounded to 10 bits. bf16:
# operands and product rounded to 7 bits, sums in single precision, as under autocast.
PRECISIONS = ("ieee", "tf32", "bf16")
TENSOR_CORES = (8, 0)  # compute capability of the first GPUs with products of tf32 and bf16


def precision_refusal(
    precision: str, device: str, capability: tuple[int, int] | None = None
) -> str | None:
    """Why products of a precision cannot be had on a device; None where they can.

    `device` is "cpu" or "cuda", `capability` that of the GPU where it is known. A device that
    multiplied otherwise than asked would store results under a key that is not theirs.
    """
    if precision == "tf32" and device == "cpu":
        return "precision tf32: GPUs alone have it; on a CPU choose ieee or bf16"
    if precision != "ieee" and capability is not None and capability < TENSOR_CORES:
        have, need = (".".join(map(str, pair)) for pair in (capability, TENSOR_CORES))
        return f"precision {precision}: this GPU is of compute capability {have}, {need} is needed"
    return None


def number(
    name: str,
    value: object,
    low: float,
    high: float = math.inf,
    *,
    whole: bool = False,
    above: bool = False,
) -> None:
    """ValueError unless `value` is a finite number from `low`, or `above` it, to `high`."""
    kinds = int if whole else (int, float)
    if isinstance(value, kinds) and not isinstance(value, bool) and math.isfinite(value):
        inside = (low < value if above else low <= value) and value <= high
        if inside:
            return
    kind = "a whole number" if whole else "a number"
    limit = "" if high == math.inf else f" and at most {high:g}"
    bound = "above" if above else "of at least"
    raise ValueError(f"{name} = {value!r}: {kind} {bound} {low:g}{limit} is expected")


@dataclass(frozen=True)
class ModelSpec:
    """Two-layer encoders and decoder (paper, section 2.1)."""

    hidden: int | None = None  # None: as wide as the latents (H = D)
    latent_activation: str = "none"  # of LATENT_ACTIVATIONS, on the encoders' output
    pool: str = "encoder"  # of POOLINGS, or "encoder": as the frozen encoder advises

    def check(self) -> None:
        """ValueError for an option that is unknown or out of its range."""
        if self.hidden is not None:
            number("model.hidden", self.hidden, 1, whole=True)
        if self.latent_activation not in LATENT_ACTIVATIONS:
            raise ValueError(
                f"unknown latent activation '{self.latent_activation}'; choose none or relu"
            )
        if self.pool not in (*POOLINGS, "encoder"):
            raise ValueError(f"unknown pooling '{self.pool}'; choose flatten, mean or encoder")


@dataclass(frozen=True)
class LossSpec:
    """Objectives (paper, section 2.2) and the weight of the reconstruction (equation 5).

    None where an option plays no part in a run.
    """

    temperature: float | None = 1.0  # InfoNCE-SIM
    epsilon: float | None = 1e-6  # smallest argument of a logarithm
    vicreg: tuple[float, float, float] | None = (
        25.0,
        25.0,
        1.0,
    )  # invariance, variance, covariance
    gamma: str | None = "geometric-ratio"  # of GAMMA_RULES, or "fixed:x"
    # Of a principle of the user's own, by name; sorted.
    options: tuple[tuple[str, float], ...] | None = None

    def option(self, name: str) -> float:
        """An option of the run's principle. KeyError where it has none of that name."""
        return dict(self.options or ())[name]

    @property
    def fixed_gamma(self) -> float | None:
        """x of the rule "fixed:x"; None for other rules, and where x is no number."""
        name, _, value = str(self.gamma or "").partition(":")
        with contextlib.suppress(ValueError):
            return float(value) if name == "fixed" else None
        return None

    def check(self) -> None:
        """ValueError for a γ rule that is unknown, or an option out of its range."""
        if self.temperature is not None:
            number("loss.temperature", self.temperature, 0, above=True)
        if self.epsilon is not None:
            number("loss.epsilon", self.epsilon, 0, 0.5, above=True)
        if self.vicreg is not None:
            if not isinstance(self.vicreg, tuple) or len(self.vicreg) != 3:
                raise ValueError(
                    f"loss.vicreg = {self.vicreg!r}: three weights are expected, of invariance, "
                    "variance and covariance"
                )
            for weight in self.vicreg:
                number("loss.vicreg", weight, 0)
        for name, value in self.options or ():
            number(f"loss.options.{name}", value, -math.inf)
        if self.fixed_gamma is not None:
            number("loss.gamma", self.fixed_gamma, 0, above=True)
        elif self.gamma not in GAMMA_RULES:
            raise ValueError(
                f"unknown γ rule '{self.gamma or ''}' in [loss]; "
                f"known: {', '.join(GAMMA_RULES)}, fixed:NUMBER"
            )


@dataclass(frozen=True)
class TrainingSpec:
    """How long and how fast (paper, section 3.3); the same for all runs of a pack."""

    epochs: int = 100
    batch_pairs: int = 16
    lr: float = 1e-4
    weight_decay: float = 1e-3
    precision: str = "ieee"  # of PRECISIONS

    def check(self) -> None:
        """ValueError for a precision that is unknown, or an option out of its range."""
        number("training.epochs", self.epochs, 1, whole=True)
        # VICReg's variance needs two clips, and so does a negative of InfoNCE.
        number("training.batch_pairs", self.batch_pairs, 2, whole=True)
        number("training.lr", self.lr, 0, above=True)
        number("training.weight_decay", self.weight_decay, 0)
        if self.precision not in PRECISIONS:
            raise ValueError(
                f"unknown precision '{self.precision}'; choose one of {', '.join(PRECISIONS)}"
            )


@dataclass(frozen=True)
class ProbeSpec:
    """Linear heads on frozen features (paper, section 3.4)."""

    epochs: int = 100
    batch: int = 64
    lr: float = 1e-3
    weight_decay: float = 0.0
    dropout: float = 0.5

    def check(self) -> None:
        """ValueError for an option out of its range."""
        number("probe.epochs", self.epochs, 1, whole=True)
        number("probe.batch", self.batch, 1, whole=True)
        number("probe.lr", self.lr, 0, above=True)
        number("probe.weight_decay", self.weight_decay, 0)
        number("probe.dropout", self.dropout, 0, 0.99)


@dataclass(frozen=True)
class RunSpec:
    """A run's kind, its seed and its cell of the grid. ValueError for what cannot be trained.

    A multi-view run has λ and, below λ = 1, a principle and an objective; contrastive baselines
    have neither (they train InfoNCE-SIM).
    """

    kind: str = "multiview"  # or "cl-" and a factor
    seed: int = 0
    principle: str | None = None  # InfoNCE, Cosine, VICReg
    objective: str | None = None  # of OBJECTIVES
    lam: float | None = None  # weight of the reconstruction, 0 to 1
    loss: LossSpec = field(default_factory=LossSpec)
    # What the views of a multi-view run's pairs share, and in what they differ.
    share: str = "instrument"
    differ: str = "pitch"

    def __post_init__(self) -> None:
        if self.kind != "multiview" and not self.kind.startswith(CL):
            raise ValueError(f"unknown kind '{self.kind}'; choose multiview, or {CL} and a factor")
        if self.kind == "multiview" and (self.lam is None or not 0 <= self.lam <= 1):
            raise ValueError(f"λ is {self.lam}; a multi-view run needs one from 0 to 1")
        if self.needs_gamma:
            self.loss.check()

    @property
    def pairing(self) -> tuple[str, str]:
        """The factor that the views of a pair share, and the one in which they differ."""
        if self.kind == "multiview":
            return self.share, self.differ
        factor = self.kind.removeprefix(CL)
        return factor, differing(factor)

    @property
    def has_decoder(self) -> bool:
        """None is trained at λ = 0 and in the baselines."""
        return bool(self.lam)

    @property
    def needs_gamma(self) -> bool:
        """Whether two losses are weighed against each other."""
        return self.lam is not None and 0 < self.lam < 1
