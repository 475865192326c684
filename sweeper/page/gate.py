"""Who may read the page: requests by a name of this machine, with the token where there is one."""

from __future__ import annotations

import hmac
import ipaddress
import re
import secrets
import socket
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sweeper.errors import SweeperError

COOKIE = "sweeper-token"
_TOKEN = re.compile(r"[\w.~-]{16,}", re.ASCII)
_HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def token_for(host: str, asked: str | None) -> str | None:
    """The token that readers need: the one asked for, a new one off loopback, else none.

    Raises SweeperError for a token that could be guessed, or that an address cannot hold.
    """
    if asked is not None and not _TOKEN.fullmatch(asked):
        raise SweeperError(
            "--token: at least 16 letters, digits, or . _ ~ -; "
            "without --token one is made where it is needed"
        )
    return asked or (None if is_loopback(host) else secrets.token_urlsafe(24))


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the host."""
    address = _address(host)
    return host.lower() == "localhost" if address is None else address.is_loopback


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


class Gate:
    """Refuses what is not meant for this page, and gives every answer its headers.

    A page of another site may have its own name resolve to this machine, and would read the answer
    as its own; but its requests still carry that name.
    """

    def __init__(self, app: ASGIApp, host: str, token: str | None, policy: str) -> None:
        self._app, self._token = app, token
        self._is_local = is_loopback(host)
        self._names = {"localhost", host.lower(), socket.gethostname().lower()}
        self._headers = _HEADERS | {"Content-Security-Policy": policy}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self._headers)
            await send(message)

        app = self._refusal(Request(scope)) or self._app
        await app(scope, receive, send_with_headers)

    def _refusal(self, request: Request) -> Response | None:
        """What to answer instead of what was asked for, or None."""
        if not self._is_ours(request.headers.get("host", "")):
            return PlainTextResponse("no such host here\n", 400)
        if self._token is None:
            return None
        shown = request.query_params.get("token")
        told = shown or _bearer(request.headers) or _cookie(request.headers)
        if told is None:
            return PlainTextResponse(
                "open the address that `sweeper serve` printed: it has the token\n", 401
            )
        if not hmac.compare_digest(told.encode(), self._token.encode()):
            return PlainTextResponse("wrong token\n", 403)
        if shown is None:
            return None
        # Kept as a cookie, and out of the address: that is stored, shown and handed on.
        rest = request.url.remove_query_params("token")
        answer = RedirectResponse(f"{rest.path}?{rest.query}" if rest.query else rest.path, 303)
        answer.set_cookie(COOKIE, self._token, httponly=True, samesite="lax")
        return answer

    def _is_ours(self, header: str) -> bool:
        """Whether a Host header names this machine; an address cannot be another's name."""
        name = re.sub(r":\d+$", "", header).removeprefix("[").removesuffix("]").lower()
        if (address := _address(name)) is not None:
            return address.is_loopback or not self._is_local
        return name == "localhost" if self._is_local else name in self._names


def _bearer(headers: Mapping[str, str]) -> str | None:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" and token else None


def _cookie(headers: Mapping[str, str]) -> str | None:
    try:
        held = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return None
    return held.value if held else None
