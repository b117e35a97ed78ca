"""The server's word on itself, its headers, and what it says when things are away."""

import asyncio
import errno
import os
import signal
import subprocess
import sys

import httpx
import psycopg
import pytest
from conftest import ROOT, Server, until
from django.db import OperationalError

from deploy import postgres
from deploy.bridge import Pages
from deploy.errors import status_of


def test_healthy(server):
    answer = httpx.get(f"{server.url}/healthz")
    assert answer.status_code == 200
    assert answer.json()["database"] == "ok"
    assert answer.json()["version"]


def test_headers(server):
    answer = httpx.get(f"{server.url}/accounts/login/")
    policy = dict(entry.split(" ", 1) for entry in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert f"ws://127.0.0.1:{server.port}" in policy["connect-src"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"


def test_probe_needs_no_name(server):
    """A container's health check and `HOST=0.0.0.0` know the server by address only."""
    assert httpx.get(f"{server.url}/healthz", headers={"Host": "10.0.0.7:8000"}).status_code == 200


def test_favicon(server):
    answer = httpx.get(f"{server.url}/favicon.ico", follow_redirects=True)
    assert answer.headers["content-type"] == "image/svg+xml"


def test_admin_has_no_door_of_its_own(server):
    """Guessing passwords is slowed down at the one sign-in page only."""
    answer = httpx.get(f"{server.url}/admin/login/")
    assert answer.headers["location"].startswith("/accounts/login/")


def test_signup_closed(server):
    assert "<form" not in httpx.get(f"{server.url}/accounts/signup/").text.split("<main")[-1]


def test_foreign_host(server):
    answer = httpx.get(f"{server.url}/", headers={"Host": "elsewhere.example"})
    assert answer.status_code == 400
    assert "elsewhere" not in answer.text


def test_not_found_page(server):
    answer = httpx.get(f"{server.url}/nowhere/")
    assert answer.status_code == 404
    assert "nothing at this address" in answer.text


def test_not_found_problem(server):
    answer = httpx.get(f"{server.url}/api/nowhere/")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == 404


def test_form_without_token(server):
    answer = httpx.post(f"{server.url}/accounts/login/", data={"login": "x", "password": "y"})
    assert answer.status_code == 403
    assert "Reload the page" in answer.text


@pytest.fixture
def lonely(tmp_path):
    """A server whose embedded Postgres may be taken away."""
    postgres.ensure_running(home=tmp_path)
    environment = {key: value for key, value in os.environ.items() if key != "DATABASE_URL"}
    alone = Server(environment={**environment, "TUTELAGE_HOME": str(tmp_path)}, log=tmp_path / "server.log")
    alone.manage("migrate", "--verbosity", "0")
    alone.start()
    yield alone, tmp_path
    alone.stop()
    postgres.stop(home=tmp_path)


@pytest.mark.slow
def test_postgres_away(lonely):
    server, home = lonely
    cookies = {"tutelage_session": "a" * 32}
    assert httpx.get(f"{server.url}/admin/", cookies=cookies).status_code == 302
    os.kill(int((home / "postgres/data/postmaster.pid").read_text().split()[0]), signal.SIGKILL)
    until(lambda: httpx.get(f"{server.url}/healthz").status_code == 503)
    assert httpx.get(f"{server.url}/healthz").json()["database"] == "away"
    page = httpx.get(f"{server.url}/admin/", cookies=cookies, timeout=40)
    assert page.status_code == 503
    assert page.headers["retry-after"]
    assert "try again in a moment" in page.text
    assert "Traceback" not in page.text
    postgres.ensure_running(home=home)
    until(lambda: httpx.get(f"{server.url}/admin/", cookies=cookies, timeout=40).status_code == 302)


def test_worker_alive(server, worker):
    assert httpx.get(f"{server.url}/healthz").json()["worker"] == "alive"
    assert worker.poll() is None


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (psycopg.errors.DiskFull(), 507),
        (OSError(errno.ENOSPC, "No space left on device"), 507),
        (OSError(errno.EACCES, "Permission denied"), 500),
        (psycopg.errors.AdminShutdown(), 503),
        (psycopg.errors.TooManyConnections(), 503),
        (psycopg.OperationalError("connection refused"), 503),
        (OperationalError("couldn't get a connection"), 503),
        (psycopg.errors.DeadlockDetected(), 500),
        (psycopg.errors.QueryCanceled(), 500),
        (ValueError(), 500),
    ],
)
def test_status_of(error, status):
    wrapped = RuntimeError("while saving")
    wrapped.__cause__ = error
    assert status_of(error) == status_of(wrapped) == status


def converse(application, *, path="/", body=b"", headers=(), leave_after=None, **options):
    """What an ASGI application sends to one request, as a list of messages."""
    sent = []

    async def scene():
        arriving = asyncio.Queue()
        arriving.put_nowait({"type": "http.request", "body": body})

        async def send(message):
            sent.append(message)
            if len(sent) == leave_after:
                arriving.put_nowait({"type": "http.disconnect"})
                await asyncio.sleep(0.05)

        scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "query_string": b"q=1",
            "http_version": "1.1",
            "headers": list(headers),
        }
        await Pages(application, threads=1, **options)(scope, arriving.get, send)

    asyncio.run(scene())
    return sent


class Streamed:
    streaming = True
    closed = False
    made = 0

    def __iter__(self):
        for number in range(1000):
            self.made += 1
            yield b"%d," % number

    def close(self):
        self.closed = True


def test_bridge_environ():
    def application(environ, start_response):
        start_response("201 Created", [("X-Path", environ["PATH_INFO"])])
        return [
            environ["wsgi.input"].read(),
            environ["HTTP_COOKIE"].encode(),
            environ["CONTENT_TYPE"].encode(),
        ]

    headers = [(b"cookie", b"a=1"), (b"cookie", b"b=2"), (b"content-type", b"text/plain")]
    head, body = converse(application, path="/prüfung", body=b"in ", headers=headers)
    assert head["status"] == 201
    assert dict(head["headers"])[b"x-path"].decode() == "/prüfung"
    assert body["body"] == b"in a=1; b=2text/plain"


def test_bridge_drops_underscored_headers():
    def application(environ, start_response):
        start_response("200 OK", [])
        return [environ.get("HTTP_X_FORWARDED_PROTO", "none").encode()]

    _, body = converse(application, headers=[(b"x_forwarded_proto", b"https")])
    assert body["body"] == b"none"


def test_bridge_refuses_a_flood():
    head, body = converse(None, body=b"x" * 11, most=10)
    assert head["status"] == 413
    assert b"10 bytes" in body["body"]


def test_bridge_streams():
    response = Streamed()

    def application(environ, start_response):
        start_response("200 OK", [])
        return response

    sent = converse(application)
    assert len(sent) == 1 + 1000 + 1
    assert response.closed


def test_bridge_stops_when_reader_leaves():
    response = Streamed()

    def application(environ, start_response):
        start_response("200 OK", [])
        return response

    converse(application, leave_after=10)
    assert response.made < 20
    assert response.closed


def test_web_process_stays_small():
    heavy = "{'torch', 'transformers', 'datasets', 'numpy'}"
    code = f"import sys, deploy.asgi, deploy.urls; print(*{heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


@pytest.mark.browser
def test_api_docs_obey_the_policy(page):
    page.goto("/api/docs/")
    page.wait_for_selector(".swagger-ui .info .title")
