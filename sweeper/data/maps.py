"""Maps of cached latents, as rows of the tables `maps` and `map_points`."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.maps import NEIGHBOURS, Method, separation, standardised
from sweeper.data.cache import Latents
from sweeper.data.clips import LOWEST_PITCH, PITCHES

Row = dict[str, Any]


def settings_of(method: Method) -> str:
    """JSON of all that decides a map of given latents."""
    return json.dumps({**method.settings, "neighbours": NEIGHBOURS}, sort_keys=True)


def map_of(latents: Latents, name: str, method: Method, settings: str) -> tuple[Row, list[Row]]:
    """A row of `maps` and those of `map_points`: every downstream clip, as the probes see it."""
    features = standardised(pooled(latents))
    labels = latents.labels["downstream"]
    notes = labels.program * PITCHES + labels.pitch
    scores = separation(features, {"pitch": labels.pitch, "instrument": labels.family}, notes)
    tokens, width = latents.shape
    row = {
        "latents": latents.fingerprint,
        "encoder": name,
        "tokens": tokens,
        "width": width,
        "pool": latents.pool,
        "method": method.name,
        "settings": settings,
        "clips": len(labels),
        **{f"separation_{k}": None if math.isnan(v) else v for k, v in scores.items()},
    }
    pitches = (labels.pitch + LOWEST_PITCH).tolist()
    families = (latents.families[family] for family in labels.family)
    columns = zip(method.place(features).tolist(), pitches, families, strict=True)
    points = [
        {"clip": clip, "x": x, "y": y, "pitch": pitch, "family": family}
        for clip, ((x, y), pitch, family) in enumerate(columns)
    ]
    return row, points


def pooled(latents: Latents) -> NDArray[np.float32]:
    """Features (N, F) of the downstream clips, as the probes pool them."""
    import torch

    from models.multiview import pool

    z = torch.from_numpy(np.array(latents.downstream)).float()
    return pool(z, latents.pool).numpy()
