"""The loop in a real browser: one press and its steps go by, curves grow, a lost server is caught up with."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import Any

import pytest
from conftest import Server
from playwright.sync_api import Page, WebSocketRoute, expect

pytestmark = pytest.mark.browser

SETUP = """
import json, random
from pathlib import Path
from django.contrib.auth.models import User
from labeling.incoming import intake
from labeling.people.projects import create_project
from models_zoo import registry, stories
from rlhf.rounds import loop, sampling
from rlhf.models import Run

given = json.loads({given!r})
owner = User.objects.create_user(given["user"], password=given["password"])
project = create_project(slug=given["slug"], name="Owl stories", guideline_title="Kind stories",
                         guideline_body="# Be kind", owner=owner)
folder = Path("models_zoo/pocket_stories/base")
project.current_checkpoint = registry.register(folder=folder, name=given["slug"] + "-base", kind="base")
project.save()
rng = random.Random(1)
shown = {{each.prompt.text: each.story for each in (stories.demonstration(rng) for _ in range(60))}}
rows = [{{"prompt": prompt, "completion": story}} for prompt, story in shown.items()]
intake.import_demonstrations(project=project, rows=rows, source="the grammar", user=owner, synthetic=True)
loop.open_round(project=project, kind="demonstrations", label_target=len(rows))
settings = sampling.loop_of(project)
settings.knobs, settings.tasks_per_round, settings.k = {{"sft": {{"epochs": 0.3}}}}, 3, 2
settings.save()
run = Run.objects.create(project=project, algorithm="ppo", state="running", config={{"seed": 1}})
run.directory.mkdir(parents=True)
print("run", run.pk)
"""

METRICS = """
import json
from labeling import live
from rlhf.models import Metric, Run
run = Run.objects.select_related("project").get(pk={run!r})
for n in range({first}, {last} + 1):
    values = {{"reward": n / 4, "kl": n / 8, "surprise": 1.5}}
    Metric.objects.create(run=run, n=n, step=n + 1, values=values)
rollout = {{"step": {last} + 1, "prompt": [{{"role": "user", "content": "An owl?"}}], "reward": 1.25,
           "kl": 0.5, "completion": "Owl story {last}.", "length": 7, "finished": True}}
(run.directory / "rollouts.jsonl").open("a").write(json.dumps(rollout) + "\\n")
(run.directory / "progress.json").write_text(json.dumps({{"step": {last} + 1, "of": 20, "eta_s": 12}}))
live.announce(project=run.project, event="metric", run=str(run.pk), n={last})
"""


@dataclass
class Cockpit:
    """A project with a round that is due and a run that the test itself moves on."""

    server: Server
    slug: str
    user: str
    password: str
    run: str

    def sign_in(self, page: Page) -> None:
        page.goto("/accounts/login/")
        page.locator("[name=login]").fill(self.user)
        page.locator("[name=password]").fill(self.password)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/")

    def learn(self, first: int, last: int) -> None:
        """Metrics numbered from ``first`` to ``last`` arrive, as if a trainer had written them."""
        self.server.shell(METRICS.format(run=self.run, first=first, last=last))


@pytest.fixture
def cockpit(server: Server, page: Page) -> Cockpit:
    name = uuid.uuid4().hex[:8]
    given = {"slug": f"owls-{name}", "user": f"ada-{name}", "password": uuid.uuid4().hex}
    said = server.shell(SETUP.format(given=json.dumps(given)))
    opened = Cockpit(server=server, run=said.split()[-1], **given)
    opened.sign_in(page)
    return opened


def mark(page: Page) -> None:
    """Remember this very document: a reload would forget it."""
    page.evaluate("document.sameDocument = true")


def is_same(page: Page) -> bool:
    return bool(page.evaluate("document.sameDocument === true"))


def reward(page: Page) -> Any:
    return page.locator("[data-key=reward] [data-value]")


@pytest.mark.slow
def test_one_press(cockpit: Cockpit, page: Page, worker: object) -> None:
    """Press the button; every step goes by without a reload; the new answers are in the queue."""
    cockpit.server.shell(
        f"from rlhf.models import Run; Run.objects.filter(pk='{cockpit.run}').update(state='done')"
    )
    page.goto(f"/projects/{cockpit.slug}/")
    expect(page.locator("#station-queue .big")).to_contain_text("0")
    page.get_by_role("button", name="Run the round").click()
    expect(page.locator("#says")).to_contain_text("Round 1 is training.")
    page.get_by_role("link", name="Watch its steps").click()
    expect(page.locator(".step")).to_have_count(4)
    mark(page)
    for step in range(4):
        expect(page.locator(".step").nth(step)).to_have_attribute("data-state", "done", timeout=120_000)
    expect(page.locator("#head")).to_contain_text("promoted", timeout=30_000)
    expect(page.locator(".step").nth(3)).to_contain_text("3 new ranking tasks")
    assert is_same(page)
    page.goto(f"/projects/{cockpit.slug}/")
    expect(page.locator("#station-queue")).to_contain_text("3 to rank")
    expect(page.locator("#station-checkpoint")).to_contain_text("r1-sft")


def test_button_comes_alive_with_the_last_label(cockpit: Cockpit, page: Page) -> None:
    change = "from rlhf.rounds import loop; from labeling.models import Project; from labeling import live;"
    change += f"project = Project.objects.get(slug='{cockpit.slug}');"
    cockpit.server.shell(change + "loop.open_round(project=project, label_target=1000)")
    page.goto(f"/projects/{cockpit.slug}/")
    button = page.get_by_role("button", name="Run the round")
    expect(button).to_be_disabled()
    expect(page.locator("[data-live-state]")).to_have_text("live")
    mark(page)
    cockpit.server.shell(
        change + "loop.open_round(project=project, label_target=5);"
        "live.announce(project=project, event='label', task=1, kind='demonstrate')"
    )
    expect(button).to_be_enabled()
    assert is_same(page)


def test_curve_grows(cockpit: Cockpit, page: Page) -> None:
    page.goto(f"/runs/{cockpit.run}/")
    expect(page.get_by_text("No numbers yet")).to_be_visible()
    expect(page.locator("[data-live-state]")).to_have_text("live")
    mark(page)
    cockpit.learn(0, 4)
    expect(reward(page)).to_have_text("1.00")
    expect(page.locator("[data-key=reward] canvas")).to_be_visible()
    expect(page.locator("#progress-text")).to_contain_text("step 5 of 20 · about 12 seconds left")
    expect(page.locator("#rollouts")).to_contain_text("Owl story 4.")
    before = page.evaluate("document.querySelector('[data-key=reward] canvas').toDataURL()")
    cockpit.learn(5, 9)
    expect(reward(page)).to_have_text("2.25")
    assert page.evaluate("document.querySelector('[data-key=reward] canvas').toDataURL()") != before
    # What is being read stays until it is asked to move.
    expect(page.locator("#rollouts")).to_contain_text("Owl story 4.")
    page.get_by_role("button", name="Show update 10").click()
    expect(page.locator("#rollouts")).to_contain_text("Owl story 9.")
    # A metric that no list knows gets a curve too.
    page.get_by_text("More curves").click()
    expect(page.locator("[data-key=surprise] canvas")).to_be_visible()
    assert is_same(page)


def test_catches_up_with_a_lost_server(cockpit: Cockpit, page: Page) -> None:
    page.goto(f"/runs/{cockpit.run}/")
    expect(page.locator("[data-live-state]")).to_have_text("live")
    cockpit.learn(0, 3)
    expect(reward(page)).to_have_text("0.750")
    mark(page)
    cockpit.server.stop()
    try:
        expect(page.locator("[data-live-state]")).to_have_text("reconnecting")
        cockpit.learn(4, 7)
    finally:
        cockpit.server.start()
    expect(reward(page)).to_have_text("1.75", timeout=40_000)
    expect(page.locator("[data-live-state]")).to_have_text("live", timeout=40_000)
    assert is_same(page)


def test_whole_without_a_socket(cockpit: Cockpit, page: Page) -> None:
    """Where WebSockets are barred, the page asks by itself."""

    def bar(socket: WebSocketRoute) -> None:
        socket.close()

    page.route_web_socket("**/ws/**", bar)
    page.goto(f"/runs/{cockpit.run}/")
    expect(page.locator("[data-live-state]")).to_have_text("reconnecting")
    cockpit.learn(0, 4)
    expect(reward(page)).to_have_text("1.00", timeout=20_000)
    cockpit.server.shell(
        f"from rlhf.models import Run; Run.objects.filter(pk='{cockpit.run}')"
        ".update(state='failed', error='knobs.kl: must be a number')"
    )
    expect(page.locator("#head [role=alert]")).to_contain_text("knobs.kl: must be a number", timeout=20_000)
    expect(page.get_by_role("button", name="Resume")).to_be_visible()


def test_superseded_points_go(cockpit: Cockpit, page: Page) -> None:
    """After a resume that went back, the curve shows what counts."""
    page.goto(f"/runs/{cockpit.run}/")
    cockpit.learn(0, 9)
    expect(reward(page)).to_have_text("2.25")
    cockpit.server.shell(
        "from labeling import live; from rlhf.models import Metric, Run;"
        f"run = Run.objects.select_related('project').get(pk='{cockpit.run}');"
        "Metric.objects.filter(run=run, n__gt=4).update(superseded=True);"
        "marker = {'superseded_from': 5, 'superseded_to': 9};"
        "Metric.objects.create(run=run, n=10, values=marker, superseded=True);"
        "live.announce(project=run.project, event='metric', run=str(run.pk), n=10)"
    )
    expect(reward(page)).to_have_text("1.00")
    page.reload()
    expect(reward(page)).to_have_text("1.00")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_fits(cockpit: Cockpit, page: Page, scheme: Any, width: int) -> None:
    """Nothing sticks out sideways, and a change of theme repaints the curves."""
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    cockpit.learn(0, 4)
    for address in (
        f"/projects/{cockpit.slug}/",
        f"/projects/{cockpit.slug}/runs/",
        f"/projects/{cockpit.slug}/checkpoints/",
        f"/projects/{cockpit.slug}/datasets/",
        f"/projects/{cockpit.slug}/rounds/1/",
        f"/guidelines/{cockpit.slug}/edit/",
        f"/runs/{cockpit.run}/",
    ):
        page.goto(address)
        expect(page.locator(".page-head h1")).to_be_visible()
        excess = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert page.evaluate(excess) == 0, address
        tables = page.locator(".scroll-x").evaluate_all("e => e.map(t => t.scrollWidth - t.clientWidth)")
        assert not any(tables), address
    expect(reward(page)).to_have_text("1.00")
    picture = "document.querySelector('[data-key=reward] canvas').toDataURL()"
    before = page.evaluate(picture)
    page.emulate_media(color_scheme="dark" if scheme == "light" else "light")
    page.wait_for_function(f"before => {picture} !== before", arg=before)


def test_a_refused_guideline_keeps_its_text(cockpit: Cockpit, page: Page) -> None:
    page.goto(f"/guidelines/{cockpit.slug}/edit/")
    page.get_by_role("textbox", name="What changed").fill("nothing yet")
    page.get_by_role("button", name="Publish version 2").click()
    body = page.get_by_label("Text, in Markdown")
    expect(body).to_have_accessible_description("Nothing differs from version 1.")
    expect(body).to_be_focused()
    expect(page.get_by_role("textbox", name="What changed")).to_have_value("nothing yet")
    # It is a draft on the server, so leaving loses nothing.
    page.goto("/")
    page.goto(f"/guidelines/{cockpit.slug}/edit/")
    expect(page.get_by_role("textbox", name="What changed")).to_have_value("nothing yet")


def test_publishes_a_guideline(cockpit: Cockpit, page: Page) -> None:
    page.goto(f"/guidelines/{cockpit.slug}/")
    page.get_by_role("link", name="Write a new version").click()
    page.get_by_label("Text, in Markdown").fill("# Be kinder\n\n**Warm** endings. <script>boom()</script>")
    expect(page.locator("#preview strong")).to_have_text("Warm")
    expect(page.locator("#preview script")).to_have_count(0)
    expect(page.get_by_text("New tasks show the new version.")).to_be_visible()
    page.get_by_role("button", name="Publish version 2").click()
    expect(page.get_by_text("Version 2 is published.")).to_be_visible()
    expect(page.locator(".changed-text ins").first).to_contain_text("kinder")
    page.get_by_role("link", name="Version 1").click()
    expect(page.get_by_text("This is not the newest version.")).to_be_visible()
