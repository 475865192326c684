"""One Ray trial: trains and probes one pack, and reports plain numbers to the driver.

`train` is an ordinary function of configs and latents; `train_pack_trial` is all that knows Tune.
A trial raises nothing: it says what broke, and the driver decides who is tried again with whom.
"""

from __future__ import annotations

import contextlib
import platform
import time
import traceback
from collections.abc import Sequence
from typing import Any

import torch

from sweeper.data.latents import Source, latents_of
from sweeper.failpoints import failpoint
from sweeper.states import classify
from sweeper.storage.checkpoints import Checkpoints, Saver
from sweeper.storage.files import Storage
from sweeper.storage.results import leave_result
from sweeper.study.config import RunConfig
from sweeper.worker.train import Message, Send, StopAskedError, train


def train_pack_trial(config: dict[str, Any]) -> None:
    """Tune's trainable. `config` is a dispatcher's payload with the driver's options."""
    from ray import tune

    def send(message: Message) -> None:
        # Nested, because Tune keeps names such as `done` for itself.
        tune.report({"message": message})

    run_trial(config, send)


def run_trial(config: dict[str, Any], send: Send) -> None:
    """Trains a payload's runs, tells what became of them, and raises nothing."""
    if config["device"] == "cpu":
        torch.set_num_threads(1)  # a worker has one core
    try:
        _run_trial(config, send)
    except StopAskedError:
        return  # the runs are at their checkpoints
    except Exception as error:
        cause = f"{type(error).__name__}: {error}".splitlines()[0]
        trace = traceback.format_exc()
        send({"event": "broke", "kind": classify(error), "cause": cause, "traceback": trace})


def _run_trial(config: dict[str, Any], send: Send) -> None:
    device, storage = config["device"], Storage(config["storage"])
    runs = {run.key: run for run in (RunConfig.from_json(r["config"]) for r in config["runs"])}
    references = [run["reference_mse"] for run in config["runs"]]
    saver = Saver(
        Checkpoints(storage, config["ledger"]),
        config["checkpoint_seconds"],
        lambda: storage.has(config["stop"]),
        lambda kind, detail: send({"event": "noted", "kind": kind, "detail": detail}),
    )
    states = saver.load(runs)
    epochs = {key: states[key].epoch if key in states else 0 for key in runs}
    name = torch.cuda.get_device_name() if device == "cuda" else "cpu"
    send({"event": "placed", "host": platform.node(), "device": name, "epochs": epochs})
    data = next(iter(runs.values())).data
    latents = latents_of(data, Source(**config["source"]), workers=1)
    known = dict(zip(runs, references, strict=True))
    for epoch in sorted(set(epochs.values())):  # more than one only where a checkpoint was bad
        started = time.monotonic()
        own = [run for key, run in runs.items() if epochs[key] == epoch]
        own_references = [known[run.key] for run in own]
        results = train(own, own_references, latents, device, send, saver=saver, states=states)
        seconds = (time.monotonic() - started) / len(own)
        _leave(storage, config["pack"], results)
        send({"event": "results", "results": results, "seconds": seconds})


def _leave(storage: Storage, pack: str, results: Sequence[dict[str, Any]]) -> None:
    """Keeps the results where `sweeper recover` and the next driver find them."""
    failpoint("result:before-write")
    for result in results:
        with contextlib.suppress(OSError):  # no room: the driver still gets them
            leave_result(storage, pack, result)
    failpoint("result:after-write")
