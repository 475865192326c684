"""The page served: / the page, /data.json its document, /events that there is a newer one."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import Route

from analysis.html import live_page
from sweeper.errors import SweeperError
from sweeper.page.gate import Gate
from sweeper.signals import caught

if TYPE_CHECKING:
    from sweeper.page.watch import Made, Watch

LOOK = 0.5  # seconds between two looks at the database's file, while a page is open
SIGN = 15.0  # seconds after which a stream says that it is still there
LAST = 10.0  # seconds that open pages have to learn how a sweep ended, before its server goes too
LOCAL, PORT = "127.0.0.1", 8765


class Page:
    """What is served of a database: the sweeps named, or the one launched last."""

    def __init__(self, db: str, names: Sequence[str], is_over: Callable[[], bool]) -> None:
        self._db, self._names, self._is_over = db, names, is_over
        self._html, self.policy = live_page()
        self._watch: asyncio.Task[Watch] | None = None
        self._fetched: Made | None = None  # last
        self.readers = 0  # pages that are open

    @asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        """The page is there at once; what makes documents comes behind it, with pandas."""
        self._watch = asyncio.create_task(asyncio.to_thread(_watch, self._db, self._names))
        yield

    async def index(self, request: Request) -> Response:
        return HTMLResponse(self._html, headers={"Cache-Control": "no-cache"})

    async def data(self, request: Request) -> Response:
        made = self._fetched = await self._newest(request)
        headers = {"ETag": f'"{made.version}"', "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        return Response(made.body, media_type="application/json", headers=headers)

    async def events(self, request: Request) -> Response:
        headers = {"Cache-Control": "no-store"}
        return StreamingResponse(
            self._versions(request), media_type="text/event-stream", headers=headers
        )

    async def _versions(self, request: Request) -> AsyncIterator[str]:
        sent, spoke = "", time.monotonic()
        self.readers += 1
        try:
            while not self._is_over():
                made = await self._newest(request)
                if made.version != sent:
                    sent, spoke = made.version, time.monotonic()
                    yield f"data: {sent}\n\n"
                elif time.monotonic() - spoke > SIGN:
                    spoke = time.monotonic()
                    yield ": still here\n\n"
                await asyncio.sleep(LOOK)
        finally:
            self.readers -= 1

    @property
    def is_told(self) -> bool:
        """Whether a reader had the newest that there is a second ago; without one, always."""
        if not self.readers or self._watch is None or not self._watch.done():
            return True
        made = self._fetched
        return made is not None and self._watch.result().is_newest(made, settled=1.0)

    async def _newest(self, request: Request) -> Made:
        assert self._watch is not None
        watch = await asyncio.shield(self._watch)
        return await watch.newest(tuple(request.query_params.getlist("sweep")))


def application(page: Page, host: str, token: str | None) -> Starlette:
    """The page behind its gate."""
    routes = [
        Route("/", page.index),
        Route("/data.json", page.data),
        Route("/events", page.events),
    ]
    middleware = [
        Middleware(Gate, host=host, token=token, policy=page.policy),
        Middleware(GZipMiddleware, minimum_size=1000),
    ]
    return Starlette(routes=routes, middleware=middleware, lifespan=page.lifespan)


def _watch(db: str, names: Sequence[str]) -> Watch:
    from sweeper.page.watch import Watch  # late: it brings pandas

    return Watch(db, names)


def listening(host: str, port: int) -> socket.socket:
    """A socket that accepts connections there; port 0 is any free one.

    Raises SweeperError where it cannot be had, as when another server has it.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        found = socket.socket(family, kind, protocol)
        try:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            found.bind(address)
            found.listen()
        except BaseException:
            found.close()
            raise
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        raise SweeperError(
            f"cannot listen on {host}:{port} ({why}); choose another with --port"
        ) from None
    return found


def address(bound: socket.socket, token: str | None) -> str:
    """What to type into a browser."""
    host, port = bound.getsockname()[:2]
    host = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(host, host)
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}/" + (f"?token={token}" if token else "")


class _Server(uvicorn.Server):
    """Leaves signals to us: uvicorn would raise them again when it is done."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def run(
    db: str,
    names: Sequence[str],
    host: str,
    token: str | None,
    bound: socket.socket,
    parent: int | None = None,
) -> int:
    """Serves until a signal; returns the exit code, 128 and the signal's number.

    With `parent`, until that process has ended or says so by a signal, and pages that are open have
    been told what there is to tell.
    """
    signals: list[int] = []
    ended: list[float] = []  # when there was nothing more to serve for

    def stop(signum: int, _frame: object) -> None:
        if parent is None or signals:
            server.force_exit = bool(signals)
            server.should_exit = True
        signals.append(signum)
        ended.append(time.monotonic())

    async def every_second() -> None:
        if parent is not None and os.getppid() != parent:
            ended.append(time.monotonic())
        if ended and (page.is_told or time.monotonic() - ended[0] > LAST):
            server.should_exit = True

    page = Page(db, names, lambda: server.should_exit)
    server = _Server(
        uvicorn.Config(
            application(page, host, token),
            log_level="critical",
            access_log=False,
            server_header=False,
            ws="none",
            timeout_graceful_shutdown=2,
            callback_notify=every_second,
            timeout_notify=0,
        )
    )
    with caught(stop):
        server.run(sockets=[bound])
    return 128 + (signals[0] if signals else signal.SIGTERM)
