"""A driver in a forked process, with the executor `inline` instead of Ray.

All but Ray is real: the command line, the lease, the recorder, the trials, the checkpoints. It
starts in a tenth of a second, so that it can be killed a hundred times. test_ray.py holds the
same claims to real Ray.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping
from typing import Any

import torch

import sweeper.cli.app
import sweeper.commands.launch
import sweeper.commands.recover
import sweeper.console.summary
import sweeper.driver.execute
import sweeper.driver.inline


def drive(arguments: list[str], log: str, environment: Mapping[str, str], **settings: Any) -> None:
    """`sweeper ARGUMENTS` in this process; `settings` are module attributes by dotted name."""
    if log.startswith("/dev/"):
        os.setsid()  # for the terminal, if it is opened to be read, to be this process's
        handle = os.open(log, os.O_RDWR)
    else:
        handle = os.open(log, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.environ.update(environment)
    torch.set_num_threads(1)
    for name, value in settings.items():
        module, _, attribute = name.rpartition(".")
        setattr(importlib.import_module(module), attribute, value)
    if arguments[0] in ("launch", "resume"):
        arguments = [*arguments, "--executor", "inline"]
    sys.argv = ["sweeper", *arguments]
    sweeper.cli.main()
