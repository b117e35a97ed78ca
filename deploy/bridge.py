"""Django's synchronous pages under an ASGI server: one hop to a thread, answers streamed as they come.

Our views and most middleware are synchronous. Django's own ASGI handler changes threads at every middleware
and collects a streamed answer in memory first: here 1.4 to 1.9 ms of CPU a request more, and no export of any
size.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from concurrent.futures import Future, ThreadPoolExecutor
from tempfile import SpooledTemporaryFile
from typing import IO, Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

SPOOL = 1 << 20
MOST = 1 << 30
PLAIN = [(b"content-type", b"text/plain")]


class Pages:
    """An ASGI application that runs the WSGI application `serve` in `threads` threads.

    A body is read before anybody knows who sends it, so one above `most` bytes is refused on the way.
    """

    def __init__(self, serve: Callable[..., Iterable[bytes]], *, threads: int, most: int = MOST) -> None:
        self._serve = serve
        self._most = most
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="page")

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        with SpooledTemporaryFile(max_size=SPOOL) as body:
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return
                body.write(message.get("body", b""))
                if body.tell() > self._most:
                    await send({"type": "http.response.start", "status": 413, "headers": PLAIN})
                    await send(_body(f"The most a request may hold is {self._most:,} bytes.".encode()))
                    return
                if not message.get("more_body"):
                    break
            size = body.tell()
            body.seek(0)
            loop = asyncio.get_running_loop()
            answer = _Answer(loop, send)
            leaving = loop.create_task(self._watch(receive, answer))
            try:
                await loop.run_in_executor(self._threads, self._run, _environ(scope, body, size), answer)
            finally:
                leaving.cancel()

    def _run(self, environ: dict[str, Any], answer: _Answer) -> None:
        response = self._serve(environ, answer.start)
        try:
            answer.send(response, streamed=getattr(response, "streaming", False))
        finally:
            # Django gives the database connection back here.
            if close := getattr(response, "close", None):
                close()

    async def _watch(self, receive: Receive, answer: _Answer) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        answer.gone = True


class _Answer:
    """One answer on its way from a page's thread to the server's loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, send: Send) -> None:
        self.gone = False
        self._loop, self._send = loop, send
        self._head: Message = {}

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: object = None) -> None:
        pairs = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        self._head = {"type": "http.response.start", "status": int(status[:3]), "headers": pairs}

    def send(self, chunks: Iterable[bytes], *, streamed: bool) -> None:
        """Wait for each chunk to leave, so that a slow reader slows the query down and memory stays flat."""
        if not streamed:
            self._deliver(self._head, _body(b"".join(chunks))).result()
            return
        self._deliver(self._head).result()
        for chunk in chunks:
            if self.gone:
                return
            self._deliver(_body(chunk, more=True)).result()
        self._deliver(_body(b"")).result()

    def _deliver(self, *messages: Message) -> Future[None]:
        async def each() -> None:
            for message in messages:
                await self._send(message)

        return asyncio.run_coroutine_threadsafe(each(), self._loop)


def _body(chunk: bytes, *, more: bool = False) -> Message:
    return {"type": "http.response.body", "body": chunk, "more_body": more}


def _environ(scope: Message, body: IO[bytes], size: int) -> dict[str, Any]:
    """The request as PEP 3333 has it: text there is bytes read as Latin-1."""
    root = scope.get("root_path", "").encode().decode("latin-1")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": root,
        "PATH_INFO": scope["path"].encode().decode("latin-1").removeprefix(root),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.get("scheme", "http"),
        "wsgi.input": body,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    environ["SERVER_NAME"], port = scope.get("server") or ("localhost", 80)
    environ["SERVER_PORT"] = str(port or 0)
    if client := scope.get("client"):
        environ["REMOTE_ADDR"] = client[0]
    for raw, value in scope["headers"]:
        if b"_" in raw:
            # Else X_Forwarded_Proto from anybody would pass for the proxy's X-Forwarded-Proto.
            continue
        name = raw.decode("latin-1").upper().replace("-", "_")
        key = name if name in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{name}"
        text = value.decode("latin-1")
        joint = "; " if key == "HTTP_COOKIE" else ","
        environ[key] = f"{environ[key]}{joint}{text}" if key in environ else text
    # A body sent in chunks comes without its length, and without one Django reads nothing.
    environ["CONTENT_LENGTH"] = str(size)
    return environ
