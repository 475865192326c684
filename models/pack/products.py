"""Matrix products of the layers, in the precision that is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

# ieee: as the operands are, the default. tf32: operands rounded to 10 bits, on CUDA alone.
# bf16: operands and product rounded to 7 bits, sums in single precision, as under autocast.
PRECISIONS = ("ieee", "tf32", "bf16")


class Products:
    """Products in one of the PRECISIONS. ValueError for another."""

    def __init__(self, precision: str = "ieee") -> None:
        if precision not in PRECISIONS:
            raise ValueError(
                f"unknown precision '{precision}'; choose one of {', '.join(PRECISIONS)}"
            )
        self._precision = precision

    @contextmanager
    def chosen(self) -> Iterator[None]:
        """Within it CUDA's products are of this precision: torch has one switch for all."""
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("high" if self._precision == "tf32" else "highest")
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(before)

    def write(self, left: Tensor, right: Tensor, out: Tensor) -> None:
        """out = left · right: two matrices, or two batches of them."""
        if self._precision == "bf16":
            out.copy_(left.bfloat16() @ right.bfloat16())
        else:
            multiply = torch.mm if left.ndim == 2 else torch.bmm
            multiply(left, right, out=out)

    def add(self, left: Tensor, right: Tensor, out: Tensor) -> None:
        """out += left · right, of batches of matrices."""
        if self._precision == "bf16":
            out.add_(left.bfloat16() @ right.bfloat16())
        else:
            out.baddbmm_(left, right)
