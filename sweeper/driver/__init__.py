"""The driver process: packs out to workers, events in, one recorder, retries."""
