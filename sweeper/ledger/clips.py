"""Reading the clips that probes are validated and tested on, by the latents that hold them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from sweeper.ledger.schema import ProbeClip

if TYPE_CHECKING:
    import pandas as pd

_CLIP = ["position", "part", "note", "twin"]


def latents_with_clips(engine: Engine) -> set[str]:
    """Fingerprints of the latents whose probe clips are known."""
    with Session(engine) as session:
        return set(session.scalars(select(ProbeClip.latents).distinct()))


def probe_clips(engine: Engine, latents: str) -> pd.DataFrame:
    """The validation and test clips of some latents: position, part, note, twin, and labels."""
    import pandas as pd

    columns = (ProbeClip.position, ProbeClip.part, ProbeClip.note, ProbeClip.twin, ProbeClip.labels)
    query = select(*columns).where(ProbeClip.latents == latents).order_by(ProbeClip.position)
    with Session(engine) as session:
        rows = session.execute(query).all()
    clips = pd.DataFrame.from_records([row[:-1] for row in rows], columns=_CLIP)
    labels = pd.DataFrame.from_records([json.loads(row.labels) for row in rows])
    return clips.join(labels)
