from __future__ import annotations

import pickle
from importlib import import_module

import pytest

from models.encoders import ENCODERS, PRETRAINED, make_encoder


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


def test_every_encoder_names_its_licence_and_its_download() -> None:
    for place in PRETRAINED.values():
        module, _, name = place.partition(".")
        cls = getattr(import_module(f"models.encoders.{module}"), name)
        assert cls.licence, name
        assert isinstance(cls.download, str), name
