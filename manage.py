#!/usr/bin/env python
"""Tutelage's commands; `python manage.py help` lists them."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "deploy.settings")
    from django.conf import settings
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    from deploy import postgres

    # `--help` must answer at once and without a database.
    wants_help = len(sys.argv) == 1 or {"-h", "--help", "help"} & set(sys.argv)
    embedded = not wants_help and postgres.is_embedded()
    try:
        home = settings.HOME
        if embedded:
            postgres.ensure_running(home=home)
    except ImproperlyConfigured as error:
        sys.exit(str(error))
    except postgres.PostgresError as error:
        sys.exit(f"embedded Postgres: {error}")
    try:
        execute_from_command_line(sys.argv)
    finally:
        # A demo leaves nothing running; other commands leave the server to the next one.
        if sys.argv[1:2] == ["demo"] and embedded:
            postgres.stop(home=home, unless_used=True)


if __name__ == "__main__":
    main()
