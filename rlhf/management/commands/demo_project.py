"""Make the demo project where there is none, and say who can sign in."""

from __future__ import annotations

from typing import Any

from labeling import command_line
from labeling.people import demo_accounts, projects
from models_zoo import registry, store
from rlhf.demo import project as demo_project


class Command(command_line.Command):
    help = "Make the demo project where there is none; with DEMO_ACCOUNTS=1 also its accounts."
    mistakes = (projects.ProjectError, registry.RegistryError, store.BrokenCheckpoint)

    def perform(self, **options: Any) -> dict[str, Any]:
        project, accounts, is_new = demo_project.ensure()
        return {
            "project": project.slug,
            "new": is_new,
            "accounts": [
                {"username": each.username, "password": demo_accounts.PASSWORD, "does": each.does}
                for each in accounts
            ],
        }

    def describe(self, result: dict[str, Any]) -> str:
        if not result["accounts"]:
            return f"  The project is {result['project']}. No demo accounts: the server is not on loopback."
        lines = ["  {username} / {password}   {does}".format(**each) for each in result["accounts"]]
        return "\n".join(["  Sign in as", *lines])
