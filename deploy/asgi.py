"""The application that uvicorn serves: HTTP, and the WebSockets of `labeling`."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "deploy.settings")
os.environ.setdefault("DATABASE_POOL", "12")

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from deploy.bridge import Pages

pages = Pages(get_wsgi_application(), threads=settings.THREADS)

# The routes import models, so Django must be set up by now.
from channels.auth import AuthMiddlewareStack  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from channels.security.websocket import AllowedHostsOriginValidator  # noqa: E402
from django.urls import get_resolver  # noqa: E402

from labeling import live  # noqa: E402
from labeling.talks import streams  # noqa: E402

# Before it listens, or the first visitors of each process would wait until every page is loaded.
get_resolver().url_patterns  # noqa: B018
routes = [*live.routes, *streams.routes]
application = ProtocolTypeRouter(
    {"http": pages, "websocket": AllowedHostsOriginValidator(AuthMiddlewareStack(URLRouter(routes)))}
)
