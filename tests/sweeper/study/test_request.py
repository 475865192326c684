"""What a launch asks for beside its grid."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweeper.errors import SweeperError
from sweeper.study.request import Request
from sweeper.sweep import expand


def precisions(request: Request) -> set[str | None]:
    return {run.training and run.training.precision for _, run in expand(request)}


def test_a_precision_is_another_sweep_of_other_runs_and_the_default_leaves_keys_alone() -> None:
    requests = [Request("smoke", "smoke", precision=p) for p in (None, "ieee", "bf16")]
    plain, same, other = ({run.key for _, run in expand(one) if run.training} for one in requests)
    assert plain == same and not plain & other
    assert precisions(requests[2]) == {"bf16", None}  # the raw encoder is not trained
    names = [one.default_name for one in requests]
    assert names == ["smoke-smoke", "smoke-smoke", "smoke-smoke-bf16"]
    assert Request.of("s", vars(requests[2])) == requests[2]
    assert Request.of("stored by an older sweeper", {"grid": "smoke"}).precision is None


@pytest.mark.parametrize(
    ("section", "says"),
    [
        ('[training]\nprecision = "ieee"', "has training.precision too; leave one of them out"),
        ('[axes]\n"training.precision" = ["ieee", "bf16"]', "has training.precision too"),
        ('[training]\nprecision = "bf16"', None),
    ],
)
def test_a_grid_with_a_precision_of_its_own_is_not_overruled(
    section: str, says: str | None, tmp_path: Path
) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(f'principles = ["Cosine"]\nlambdas = [0.6]\n{section}\n')
    request = Request(str(file), "smoke", precision="bf16")
    if says is None:
        assert precisions(request) == {"bf16"}
    else:
        with pytest.raises(SweeperError, match=says):
            expand(request)


@pytest.mark.parametrize(("precision", "device"), [("tf32", "cpu"), ("fp8", "auto")])
def test_a_precision_that_cannot_be_had_is_refused_before_anything_is_written(
    precision: str, device: str
) -> None:
    with pytest.raises(SweeperError, match=f"precision.*{precision}"):
        expand(Request("smoke", "smoke", precision=precision, device=device))
