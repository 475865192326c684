"""Tensors: frozen encoders, the multi-view model, its objectives, the pack trainer, probes."""
