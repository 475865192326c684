"""Who may read the page: by which name, with which token."""

from __future__ import annotations

import hmac

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from sweeper.errors import SweeperError
from sweeper.page.gate import Gate, token_for

TOKEN = "0123456789abcdef"


async def answer(request: Request) -> PlainTextResponse:
    return PlainTextResponse("read")


def client(host: str = "127.0.0.1", token: str | None = None) -> TestClient:
    app = Starlette(routes=[Route("/", answer)])
    gate = Gate(app, host, token, "default-src 'none'")
    return TestClient(gate, base_url="http://127.0.0.1:8765", follow_redirects=False)


@pytest.mark.parametrize(
    ("host", "named", "status"),
    [
        ("127.0.0.1", "127.0.0.1:8765", 200),
        ("127.0.0.1", "localhost:9000", 200),  # through a tunnel
        ("127.0.0.1", "[::1]:8765", 200),
        ("127.0.0.1", "LOCALHOST", 200),
        ("127.0.0.1", "evil.example", 400),
        ("127.0.0.1", "evil.example:8765", 400),
        ("127.0.0.1", "127.0.0.1.evil.example", 400),
        ("127.0.0.1", "192.0.2.7:8765", 400),
        ("127.0.0.1", "", 400),
        ("192.0.2.7", "192.0.2.7:8765", 200),
        ("0.0.0.0", "192.0.2.7:8765", 200),
        ("0.0.0.0", "evil.example", 400),
        ("box.example", "BOX.example:8765", 200),
    ],
)
def test_a_request_by_another_name_is_refused(host: str, named: str, status: int) -> None:
    got = client(host).get("/", headers={"Host": named})
    assert got.status_code == status
    assert got.headers["content-security-policy"] == "default-src 'none'"  # refusals carry it too
    assert got.headers["x-content-type-options"] == "nosniff"


def test_a_token_is_wanted_and_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return one == other

    monkeypatch.setattr(hmac, "compare_digest", compare)
    reader = client(token=TOKEN)
    assert reader.get("/").status_code == 401
    for wrong in ("0123456789abcdeF", "x", "é" * 16):
        assert reader.get("/", params={"token": wrong}).status_code == 403
        assert compared.pop() == (wrong.encode(), TOKEN.encode())
    assert reader.get("/", headers={"Authorization": f"Bearer {TOKEN}"}).text == "read"
    assert reader.get("/", headers={"Cookie": "sweeper-token=x"}).status_code == 403
    assert reader.get("/", headers={"Cookie": "\x01=;;=sweeper-token"}).status_code == 401
    assert len(compared) == 2


def test_the_token_moves_from_the_address_to_a_cookie() -> None:
    reader = client(token=TOKEN)
    got = reader.get("/", params={"sweep": "a b", "token": TOKEN})
    assert (got.status_code, got.headers["location"]) == (303, "/?sweep=a+b")
    cookie = got.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=lax" in cookie
    assert reader.get(got.headers["location"]).text == "read"


@pytest.mark.parametrize(
    ("host", "asked", "given"),
    [("127.0.0.1", None, None), ("::1", None, None), ("localhost", TOKEN, TOKEN)],
)
def test_this_machine_alone_needs_no_token(host: str, asked: str | None, given: object) -> None:
    assert token_for(host, asked) == given


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "box.example", "127.0.0.1.nip.io"])
def test_any_other_host_gets_a_new_token(host: str) -> None:
    made = {token_for(host, None) for _ in range(3)}
    assert len(made) == 3 and all(len(token or "") >= 32 for token in made)


@pytest.mark.parametrize("asked", ["", "short", "a b c d e f g h i j", "äöüäöüäöüäöüäöüäöü"])
def test_a_token_that_is_short_or_no_part_of_an_address_is_refused(asked: str) -> None:
    with pytest.raises(SweeperError, match="at least 16 letters"):
        token_for("0.0.0.0", asked)
