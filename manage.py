#!/usr/bin/env python
"""Tutelage's commands; `python manage.py help` lists them."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "deploy.settings")
    from django.core.management import execute_from_command_line

    # `--help` must answer at once and without a database.
    wants_help = len(sys.argv) == 1 or {"-h", "--help", "help"} & set(sys.argv)
    embedded = not wants_help and "DATABASE_URL" not in os.environ
    if embedded:
        from django.conf import settings

        from deploy import postgres

        try:
            postgres.ensure_running(home=settings.HOME)
        except postgres.PostgresError as error:
            sys.exit(f"embedded Postgres: {error}")
        except OSError as error:
            sys.exit(f"cannot use the state folder {error.filename}: {error.strerror}")
    try:
        execute_from_command_line(sys.argv)
    finally:
        # A demo leaves nothing running; other commands leave the server to the next one.
        if sys.argv[1:2] == ["demo"] and embedded:
            postgres.stop(home=settings.HOME, unless_used=True)


if __name__ == "__main__":
    main()
