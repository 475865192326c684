"""What may be shown: no secret, whatever text it stands in."""

from __future__ import annotations

import pytest

from sweeper.errors import redact


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql+psycopg://me:S3CRET@h:5432/x", "postgresql+psycopg://me:***@h:5432/x"),
        ("cannot open postgresql://:S3CRET@h/x: no", "cannot open postgresql://:***@h/x: no"),
        ("postgresql://me:S3C@RET/@h/x", "postgresql://me:***@h/x"),
        ("s3://KEY:S3C/RET+@bucket/x?region=eu", "s3://KEY:***@bucket/x?region=eu"),
        (
            "postgresql://h/x?user=me&password=S3CRET&a=1",
            "postgresql://h/x?user=me&password=***&a=1",
        ),
        ("connect(host='h', password='S3CRET')", "connect(host='h', password=***"),
        ("the server says S3CRET-OF-THE-SERVER", "the server says ***"),
        ("postgresql://me@h/x?host=/run, a.db", "postgresql://me@h/x?host=/run, a.db"),
        ("/home/x/results.db", "/home/x/results.db"),
    ],
)
def test_a_secret_is_never_shown(monkeypatch: pytest.MonkeyPatch, text: str, shown: str) -> None:
    monkeypatch.setenv("PGPASSWORD", "S3CRET-OF-THE-SERVER")
    monkeypatch.setenv("TOKEN_FILE", "/home")  # names no secret, and is everywhere
    assert redact(text) == shown
    assert redact(shown) == shown
