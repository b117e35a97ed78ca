"""Headers on every answer: nothing runs, loads or frames here that we do not serve ourselves."""

from collections.abc import Callable

from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "manifest-src 'self'",
        "worker-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "connect-src 'self'",
    ]
)


def headers(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: the Content-Security-Policy, and at sign-out the browser's cache is emptied.

    Django's own adds nosniff and the referrer policy.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        try:
            # Older Safari does not count a WebSocket to the page's own host as 'self'.
            socket = f" {'wss' if request.is_secure() else 'ws'}://{request.get_host()}"
        except DisallowedHost:
            socket = ""
        response.setdefault("Content-Security-Policy", POLICY + socket)
        response.setdefault("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
        if request.method == "POST" and request.path == reverse("account_logout"):
            # Pictures, and pages that the back button would show to whoever comes next.
            response["Clear-Site-Data"] = '"cache"'
        return response

    return middleware
