"""`GET /healthz`: whether the database answers and a worker is alive."""

from collections.abc import Callable

import psycopg
from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse

# A worker beats every 10 seconds.
SILENCE = 30.0


def healthz(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware, the first: a probe may ask by any name, since it often knows the server by address only."""
    return lambda request: _health() if request.path == "/healthz" else get_response(request)


def _health() -> JsonResponse:
    try:
        worker = _worker()
    except psycopg.Error:
        return JsonResponse(
            {"database": "away", "worker": "unknown", "version": settings.VERSION}, status=503
        )
    return JsonResponse({"database": "ok", "worker": worker, "version": settings.VERSION})


def _worker() -> str:
    """`alive`, `none`, or for how long the last one has been silent. Raises `psycopg.Error`.

    On a connection of its own: the pool would make a probe wait for as long as a visitor.
    """
    parameters = connection.get_connection_params()
    for key in ("cursor_factory", "context", "pool"):
        parameters.pop(key, None)
    with psycopg.connect(**{**parameters, "connect_timeout": 2}, autocommit=True) as probe:
        if probe.execute("select to_regclass('procrastinate_workers')").fetchone() == (None,):
            return "none"
        query = "select extract(epoch from now() - max(last_heartbeat))::float from procrastinate_workers"
        row = probe.execute(query).fetchone()
    if not row or row[0] is None:
        return "none"
    return "alive" if row[0] < SILENCE else f"silent for {row[0]:.0f} s"
