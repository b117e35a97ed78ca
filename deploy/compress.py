"""Send pages, scripts and styles gzipped: a labeler's first screen waits for them."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponseBase
from django.middleware.gzip import GZipMiddleware

TEXTS = {"text/html", "text/css", "text/javascript", "application/javascript", "image/svg+xml"}


class Gzip(GZipMiddleware):
    """Django's, for whole texts of these types: API answers are small and many, exports long streams."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        kind = response.headers.get("Content-Type", "").partition(";")[0]
        if response.status_code != 200 or kind not in TEXTS:
            return response
        return super().process_response(request, response)  # type: ignore[arg-type, return-value]
