from __future__ import annotations

import pickle

import pytest

from models.encoders import ENCODERS, make_encoder


@pytest.mark.parametrize("name", ENCODERS)
def test_every_encoder_says_what_it_is_and_travels_to_workers(name: str) -> None:
    encoder = pickle.loads(pickle.dumps(make_encoder(name)))
    assert encoder.name == name
    assert encoder.pool in ("flatten", "mean")
    assert encoder.sample_rate >= 8_000
    assert len(encoder.shape) == 2
    assert encoder.fingerprint == make_encoder(name).fingerprint


def test_an_unknown_encoder_is_refused_with_the_known_names() -> None:
    with pytest.raises(ValueError, match="unknown encoder 'vggish'; choose one of logmel"):
        make_encoder("vggish")
