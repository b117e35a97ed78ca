"""Django settings, one module, driven by the environment (`docs/settings.md` lists the variables)."""

import fcntl
import logging
import os
import secrets
import sys
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

from deploy import postgres, release

BASE_DIR = Path(__file__).resolve().parent.parent
VERSION = "0.1.0"
TESTING = "pytest" in sys.modules
HOME = Path(os.environ.get("TUTELAGE_HOME") or BASE_DIR / "var" / ("test" if TESTING else "")).resolve()


def _flag(name: str, *, default: bool) -> bool:
    return os.environ.get(name, "1" if default else "0").lower() in {"1", "true", "yes", "on"}


def _number(name: str, *, default: int, least: int) -> int:
    value = os.environ.get(name) or str(default)
    if not value.isdecimal() or int(value) < least:
        raise ImproperlyConfigured(f"{name} must be a whole number from {least} on, not {value!r}")
    return int(value)


def _list(name: str, *, default: str = "") -> list[str]:
    return [entry.strip() for entry in os.environ.get(name, default).split(",") if entry.strip()]


def _kept_key() -> str:
    """The key made once and kept in the state folder."""
    with open(os.open(HOME / "secret_key", os.O_RDWR | os.O_CREAT, 0o600), "r+") as file:
        # Two first starts at once must agree; one that was cut short must not leave an empty key for ever.
        fcntl.flock(file, fcntl.LOCK_EX)
        if not (key := file.read()):
            key = secrets.token_urlsafe(48)
            file.write(key)
    return key


def _database() -> dict:
    """`DATABASE_URL` where given, else the embedded Postgres of the state folder."""
    if postgres.is_embedded():
        return postgres.connection(home=HOME)
    try:
        parts = urlsplit(os.environ["DATABASE_URL"])
        port, name = parts.port, unquote(parts.path.lstrip("/"))
    except ValueError:
        name = ""
    if not name or parts.scheme not in {"postgresql", "postgres"}:
        # Its value is not repeated: it holds a password.
        raise ImproperlyConfigured("DATABASE_URL must look like postgresql://user:password@host:port/name")
    query = dict(parse_qsl(parts.query))
    return {
        "HOST": query.pop("host", None) or unquote(parts.hostname or ""),
        "PORT": str(port or ""),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "NAME": name,
        "OPTIONS": query,
    }


try:
    # It holds labels, prompts and keys: for its owner alone.
    HOME.mkdir(mode=0o700, parents=True, exist_ok=True)
    SECRET_KEY = os.environ.get("SECRET_KEY") or _kept_key()
except OSError as error:
    raise ImproperlyConfigured(
        f"cannot use the state folder {error.filename or HOME}: {error.strerror}"
    ) from error
DEBUG = _flag("DEBUG", default=False)
ALLOWED_HOSTS = _list("ALLOWED_HOSTS", default="localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS = _list("TRUSTED_ORIGINS")
if bare := [origin for origin in CSRF_TRUSTED_ORIGINS if "://" not in origin]:
    raise ImproperlyConfigured(f"TRUSTED_ORIGINS need their scheme, as in https://{bare[0]}")
HTTPS = _flag("HTTPS", default=False)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
# Else one person's wrong passwords would count against everybody behind the same proxy.
ALLAUTH_TRUSTED_PROXY_COUNT = int(HTTPS)
# A labeler's day is longer than a shift; expiry in mid-sentence would cost words.
SESSION_COOKIE_AGE = 14 * 24 * 3600
# Two servers on one host (a demo beside `make run`) must not sign each other out.
SESSION_COOKIE_NAME = os.environ.get("SESSION_COOKIE_NAME", "tutelage_session")

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "allauth",
    "allauth.account",
    "django_htmx",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "channels",
    "procrastinate.contrib.django",
    "guidelines",
    "models_zoo",
    "labeling",
    "rlhf",
]

MIDDLEWARE = [
    "deploy.health.healthz",
    "deploy.compress.Gzip",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "deploy.security.headers",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

# Who hears of what somebody cannot use; shown on the accessibility page.
ACCESSIBILITY_CONTACT = os.environ.get("ACCESSIBILITY_CONTACT", "")

CSRF_FAILURE_VIEW = "deploy.errors.csrf_refused"
ROOT_URLCONF = "deploy.urls"
ASGI_APPLICATION = "deploy.asgi.application"
# Pages served at once by one web process; more wait their turn.
THREADS = _number("THREADS", default=24, least=1)
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "deploy" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", **_database()}}
# The web server's threads share a pool: CONN_MAX_AGE under ASGI doubled the CPU and failed requests. In a
# command or a worker each thread has a connection of its own.
if pool_size := _number("DATABASE_POOL", default=0, least=0):
    DATABASES["default"]["OPTIONS"] = {
        **DATABASES["default"].get("OPTIONS", {}),
        "pool": {"min_size": 1, "max_size": pool_size, "timeout": 5},
    }
# A pooled connection outlives a restart of Postgres; without the check each would cost a visitor an error.
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CHANNEL_LAYERS: dict[str, dict[str, Any]] = {"default": {"BACKEND": "labeling.live.NotifyChannelLayer"}}
if redis_url := os.environ.get("REDIS_URL"):
    CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": [redis_url]},
        }
    }

AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_REDIRECT_URL = "/"
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGOUT_REDIRECT_URL = "/accounts/login/"
# Accounts are made by admins; SIGNUP=1 lets people open their own.
SIGNUP = _flag("SIGNUP", default=False)
ACCOUNT_ADAPTER = "deploy.accounts.AccountAdapter"
EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "labeling.people.tokens.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["labeling.api.OrjsonRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "labeling.problems.problem_document",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Tutelage",
    "DESCRIPTION": "Human feedback in, checkpoints out. Authenticate with `Authorization: Token …`.",
    "VERSION": VERSION,
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    # One name for each set of choices, wherever it appears.
    "ENUM_NAME_OVERRIDES": {
        "TaskKind": "labeling.models.Task.Kind",
        "DatasetKind": "labeling.models.Dataset.Kind",
        "MemberKind": ["human", "simulated"],
        "MemberRole": "labeling.models.Membership.Role",
        "MessageRole": ["system", "user", "assistant"],
        "Split": "labeling.models.Split",
        "ReplyState": "labeling.models.Reply.State",
        "AttemptState": "labeling.models.Attempt.State",
        "InvitationState": ["open", "used", "expired", "revoked"],
        "ReviewState": ["accepted", "sent_back", "appealed", "restored", "refused"],
        "RunState": "rlhf.models.Run.State",
        "RoundKind": "rlhf.models.Round.Kind",
        "RoundState": "rlhf.models.Round.State",
        "StepState": "rlhf.models.RoundStep.State",
        "CheckpointKind": "models_zoo.models.Checkpoint.Kind",
    },
}

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = USE_TZ = True
# A file's address holds its release: it never changes under that name, and modules import by relative paths.
STATIC_URL = f"static/{release.name(BASE_DIR)}/"
STATICFILES_DIRS: list[Path | tuple[str, Path]] = [BASE_DIR / "deploy" / "static"]
# Third-party front-end packages are installed by npm, never committed.
if (uplot := BASE_DIR / "node_modules" / "uplot" / "dist").is_dir():
    STATICFILES_DIRS.append(("vendor/uplot", uplot))
# Served straight from the source folders: no collectstatic between a newcomer and the first screen.
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG
WHITENOISE_IMMUTABLE_FILE_TEST = r"(?!)" if DEBUG else f"^/{STATIC_URL}"
# A 2 MB answer is refused by name in `labeling.annotate`, not by a broken connection; imports stream.
DATA_UPLOAD_MAX_MEMORY_SIZE = 16 * 1024 * 1024

# The most tokens of one answer that a labeler waits for, see `labeling.talks.responder`.
REPLY_TOKENS = _number("REPLY_TOKENS", default=512, least=1)

LOG_LEVEL = os.environ.get("LOG_LEVEL", "WARNING").upper()
if LOG_LEVEL not in logging.getLevelNamesMapping():
    raise ImproperlyConfigured(f"LOG_LEVEL must be DEBUG, INFO, WARNING or ERROR, not {LOG_LEVEL!r}")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
}
# Demo accounts exist only where the server is bound to loopback.
DEMO_ACCOUNTS = _flag("DEMO_ACCOUNTS", default=False)
