"""Every page of the platform as axe-core sees it, in light and dark, and at the width of a phone at 400 %."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from axe import faults
from conftest import Server
from django.urls import URLPattern, URLResolver, get_resolver
from playwright.sync_api import Browser, Page, expect

pytestmark = pytest.mark.browser

PASSWORD = "wide awake owl"
# WCAG 1.4.10: 1280 pixels at 400 %.
NARROWEST = 320

SETUP = """
import json
from pathlib import Path
from django.contrib.auth.models import User
from labeling import annotate
from labeling.datasets import dataset
from labeling.incoming import intake
from labeling.models import Membership
from labeling.people import invitations
from labeling.people.projects import create_project
from labeling.qualification import items, practice
from models_zoo import registry
from rlhf.models import Metric, Run
from rlhf.rounds import loop

given = json.loads({given!r})
slug = given["slug"]
owner = User.objects.create_superuser(slug, password=given["password"])
project = create_project(slug=slug, name="Owl stories", guideline_title="Kind stories",
                         guideline_body="# Be kind\\n\\nPrefer the **kind** story.", owner=owner)
folder = Path("models_zoo/pocket_stories/base")
checkpoint = registry.register(folder=folder, name=slug + "-base", kind="base")
project.current_checkpoint = checkpoint
project.save()
batch = intake.import_demonstrations(project=project, source="the grammar", user=owner, synthetic=True,
                             rows=[{{"prompt": "An owl?", "completion": "Once an owl."}}])
frozen = dataset.freeze(project=project, kind="demonstrations")
loop.open_round(project=project, kind="demonstrations", label_target=1)
run = Run.objects.create(project=project, algorithm="ppo", state="done", config={{"seed": 1}})
run.directory.mkdir(parents=True)
for n in range(5):
    Metric.objects.create(run=run, n=n, step=n + 1, values={{"reward": n / 4, "kl": n / 8}})
items.add(project=project, kind="demonstrate", prompt=project.prompts.first(), uses=["quiz", "practice"],
          answer={{"text": "Once an **owl**."}}, explanation="It is kind.", actor=owner)
lease = practice.lease_next(project=project, labeler=owner.labeler)
practised = annotate.submit(lease_id=lease.pk, labeler=owner.labeler, submission_id=lease.pk,
                            answer={{"text": "Owl."}})
manager = Membership.objects.select_related("project", "user").get(user=owner)
told = {{"secret": invitations.invite(manager=manager).secret, "labeler_id": str(owner.labeler.pk)}}
print(json.dumps({{"run": str(run.pk), "checkpoint": checkpoint.pk, "dataset": frozen.pk,
                  "import": batch.pk, "practised": practised.pk, **told}}))
"""

# Views that are no page of ours: they answer with a fragment, a file, a redirect or only to a POST.
NO_PAGES = {
    "labeling:service_worker",
    "labeling:left",
    "labeling:picture",
    "labeling:preview",
    "labeling:drawer",
    "labeling:token_revoke",
    "labeling:pause",
    "labeling:refused_rows",
    "labeling:message_read",
    "rlhf:auto_start",
    "rlhf:change_round",
    "rlhf:change_run",
    "rlhf:freeze",
    "guidelines:effects",
    "guidelines:preview",
    "labeling:guideline_news",
}
SIGNED_OUT = ("/accounts/login/", "/accounts/password/reset/", "/accessibility/")


@pytest.fixture(scope="module")
def world(server: Server) -> dict[str, Any]:
    """A project with something on every page, and its owner."""
    slug = f"owls-{uuid.uuid4().hex[:8]}"
    told = server.shell(SETUP.format(given=json.dumps({"slug": slug, "password": PASSWORD})))
    return {"slug": slug, **json.loads(told.strip().splitlines()[-1])}


@pytest.fixture(scope="module")
def owner(browser: Browser, server: Server, world: dict[str, Any]) -> Iterator[Page]:
    context = browser.new_context(base_url=server.url)
    page = context.new_page()
    page.goto("/accounts/login/")
    page.get_by_label("User name").fill(world["slug"])
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="My work")).to_be_visible()
    yield page
    context.close()


def names(patterns: list[Any], prefix: str = "", route: str = "") -> Iterator[tuple[str, str, URLPattern]]:
    """Each name with its whole route, those of the addresses that include it before its own."""
    for one in patterns:
        whole = route + str(one.pattern)
        if isinstance(one, URLResolver):
            yield from names(one.url_patterns, f"{one.namespace}:" if one.namespace else prefix, whole)
        elif one.name:
            yield f"{prefix}{one.name}", whole, one


def addresses(world: dict[str, Any]) -> dict[str, str]:
    """The address of every page of our own apps; a page that this test cannot fill in fails it."""
    fill = {"slug": world["slug"], "number": 1, "kind": "rank", "run_id": world["run"]}
    fill |= {"import_id": world["import"]}
    fill |= {"checkpoint_id": world["checkpoint"], "dataset_id": world["dataset"]}
    fill |= {"labeler_id": world["labeler_id"], "secret": world["secret"]}
    fill |= {"before": 1, "after": 1, "annotation_id": world["practised"]}
    found = {}
    for name, route, pattern in names(get_resolver().url_patterns):
        ours = name.startswith(("labeling:", "rlhf:", "guidelines:")) and "api/" not in route
        if not ours or name in NO_PAGES or pattern.callback.__module__.split(".")[1:2] == ["api"]:
            continue
        parameters = {key: fill[key] for key in re.findall(r"<\w+:(\w+)>", route)}
        found[f"{name} {' '.join(parameters)}"] = _filled(route.removeprefix("^/"), parameters)
    return found


def _filled(route: str, parameters: dict[str, Any]) -> str:
    for key, value in parameters.items():
        for converter in ("slug", "int", "uuid"):
            route = route.replace(f"<{converter}:{key}>", str(value))
    return f"/{route}"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_has_a_fault(owner: Page, world: dict[str, Any], scheme: Any) -> None:
    owner.emulate_media(color_scheme=scheme)
    found = addresses(world)
    assert len(found) > 15
    for name, address in found.items():
        for width in (1440, 390):
            owner.set_viewport_size({"width": width, "height": 900})
            answer = owner.goto(address)
            assert answer is not None
            assert answer.status == 200, name
            assert faults(owner) == [], (name, width)


def test_pages_reflow(owner: Page, world: dict[str, Any]) -> None:
    owner.set_viewport_size({"width": NARROWEST, "height": 256 * 2})
    for name, address in addresses(world).items():
        owner.goto(address)
        assert owner.evaluate("document.documentElement.scrollWidth") <= NARROWEST, name


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_for_everybody(page: Page, world: dict[str, Any], scheme: Any) -> None:
    page.emulate_media(color_scheme=scheme)
    for address in (*SIGNED_OUT, f"/join/{world['secret']}/"):
        for width in (1440, NARROWEST):
            page.set_viewport_size({"width": width, "height": 900})
            page.goto(address)
            assert faults(page) == [], (address, width)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (address, width)


def test_the_statement_is_one_step_away(owner: Page) -> None:
    owner.goto("/")
    owner.locator("details.menu summary").press("Enter")
    owner.get_by_role("link", name="Accessibility").press("Enter")
    expect(owner.get_by_role("heading", name="Accessibility", exact=True)).to_be_visible()
    expect(owner.get_by_text("Web Content Accessibility Guidelines (WCAG) 2.2")).to_be_visible()
