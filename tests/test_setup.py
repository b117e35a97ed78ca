"""Setting a project up and changing its settings: in steps, with nothing lost on an error."""

from __future__ import annotations

import html
import re
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from rest_framework.test import APIClient
from scenes import new_labeler, new_project

from guidelines import criteria
from labeling.models import AuditEntry, Membership, Project
from labeling.people import presets
from labeling.people.projects import change_settings
from labeling.people.settings import SETTINGS, ProjectError, check, settings_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def project() -> Project:
    return new_project()


@pytest.fixture
def page(project: Project) -> Client:
    client = Client()
    client.force_login(new_labeler(project, role="owner").user)
    return client


@pytest.fixture
def founder() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("kim"))
    return client


def form_of(project: Project) -> dict[str, str]:
    values = {name: value for name, value in settings_of(project).items() if name != "paused"}
    return {
        name: "on" if value is True else str(value) for name, value in values.items() if value is not False
    }


def fields(answer: Any) -> dict[str, str]:
    """What a browser would send of the answer's form, as it stands."""
    text = answer.content.decode()
    sent: dict[str, str] = {}
    for tag in re.findall(r"<input [^>]*>", text):
        given = {key: html.unescape(value) for key, value in re.findall(r'([\w-]+)="([^"]*)"', tag)}
        chosen = given.get("type") not in ("checkbox", "radio") or re.search(r"\schecked\b", tag)
        if given.get("name") not in (None, "csrfmiddlewaretoken") and chosen:
            sent[given["name"]] = given.get("value", "on")
    for name, body in re.findall(r'<textarea [^>]*name="(\w+)"[^>]*>(.*?)</textarea>', text, re.DOTALL):
        sent[name] = html.unescape(body)
    return sent


# Settings


def test_every_setting_is_on_the_page(project: Project, page: Client) -> None:
    said = page.get(f"/projects/{project.slug}/manage/settings/").content.decode()
    assert all(f'name="{name}"' in said for name in SETTINGS)


def test_settings_are_saved(project: Project, page: Client) -> None:
    form = form_of(project) | {"overlap": "3", "hourly_rate": "18,5", "currency": "eur", "model_drafts": "on"}
    assert page.post(f"/projects/{project.slug}/manage/settings/", form).status_code == 302
    project.refresh_from_db()
    assert (project.overlap, project.hourly_rate, project.currency, project.model_drafts) == (
        3,
        Decimal("18.50"),
        "EUR",
        True,
    )
    assert AuditEntry.objects.filter(project=project).first().detail["changes"]["overlap"] == [1, 3]


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("overlap", "0"),
        ("overlap", "two"),
        ("overlap", ""),
        ("lease_seconds", "59"),
        ("review_share", "1.5"),
        ("review_share", "nan"),
        ("heldout_share", "0.95"),
        ("tree_turns", "51"),
        ("hourly_rate", "-1"),
        ("hourly_rate", "NaN"),
        ("hourly_rate", "a lot"),
        ("currency", "euro"),
        ("currency", "1$2"),
        ("name", "  "),
        ("name", "a" * 201),
        ("name", "a\x00b"),
    ],
)
def test_a_bad_setting_keeps_the_text(project: Project, page: Client, field: str, text: str) -> None:
    form = form_of(project) | {field: text, "tree_size": "77"}
    answer = page.post(f"/projects/{project.slug}/manage/settings/", form)
    said = answer.content.decode()
    assert answer.status_code == 422
    assert f'id="{field}-error"' in said
    assert said.count('aria-invalid="true"') == 1
    assert fields(answer)["tree_size"] == "77"
    assert fields(answer)[field].strip("\x00") == text.strip() or field == "name"
    project.refresh_from_db()
    assert project.tree_size == 12


def test_pause_says_what_it_does(project: Project, page: Client) -> None:
    page.post(f"/projects/{project.slug}/manage/settings/pause/", {"paused": "1"})
    project.refresh_from_db()
    assert project.paused
    said = page.get(f"/projects/{project.slug}/manage/settings/").content.decode()
    assert "Hand out tasks again" in said
    page.post(f"/projects/{project.slug}/manage/settings/pause/", {"paused": "0"})
    project.refresh_from_db()
    assert not project.paused


def test_only_who_manages_changes_settings(project: Project) -> None:
    client = Client()
    client.force_login(new_labeler(project, role="engineer").user)
    for address in ("settings/", "settings/pause/", "prompts/", "prompts/new/", ""):
        assert client.post(f"/projects/{project.slug}/manage/{address}").status_code in (403, 405)


def test_settings_in_few_queries(project: Project, page: Client, django_assert_max_num_queries) -> None:
    with django_assert_max_num_queries(5):
        page.get(f"/projects/{project.slug}/manage/settings/")


def test_every_setting_has_bounds_that_hold(project: Project) -> None:
    for name, setting in SETTINGS.items():
        if setting.is_number:
            for bound, beyond in ((setting.least, setting.least - 1), (setting.most, setting.most + 1)):
                assert check(name, setting.type(bound)) == bound
                with pytest.raises(ProjectError):
                    check(name, setting.type(beyond))
    with pytest.raises(ProjectError):
        change_settings(project=project, colour="red")


# The set-up


def walk(client: Client, **given: str) -> Any:
    """Through the steps as a browser goes, writing ``given`` wherever its field is shown."""
    answer = client.get("/projects/new/")
    for _ in range(4):
        form = fields(answer)
        form |= {name: value for name, value in given.items() if name in form}
        answer = client.post("/projects/new/", form | {"go": "next"})
        if answer.status_code != 200:
            return answer
    return answer


def test_a_project_in_four_steps(founder: Client) -> None:
    answer = walk(founder, name="Owl stories", preset="helpsteer2", hourly_rate="20")
    assert answer.status_code == 302
    assert answer["Location"] == "/projects/owl-stories/manage/prompts/new/"
    made = Project.objects.get(slug="owl-stories")
    assert (made.name, made.overlap, made.hourly_rate) == ("Owl stories", 3, 20)
    assert [one["key"] for one in made.guideline.current.criteria][:2] == ["helpfulness", "correctness"]
    assert made.memberships.get().role == Membership.Role.OWNER


@pytest.mark.parametrize("name", list(presets.PRESETS))
def test_every_preset_makes_a_project(name: str) -> None:
    owner = User.objects.create_user("kim")
    made = presets.create(owner=owner, slug=f"p-{name}", name="P", preset=name)
    version = made.guideline.current
    assert version.body == presets.PRESETS[name].parts.body
    assert criteria.check(version.criteria) == version.criteria
    assert {key: getattr(made, key) for key in presets.PRESETS[name].settings} == presets.PRESETS[
        name
    ].settings


def test_back_and_forth_loses_nothing(founder: Client) -> None:
    first = fields(founder.get("/projects/new/")) | {"name": "Owls"}
    second = fields(founder.post("/projects/new/", first | {"go": "next"})) | {"preset": "arena"}
    third = fields(founder.post("/projects/new/", second | {"go": "next"}))
    third |= {"guideline_body": "# Mine\n\nBe kind.", "overlap": "2"}
    back = fields(founder.post("/projects/new/", third | {"go": "back"}))
    assert (back["step"], back["preset"], back["guideline_body"]) == ("preset", "arena", "# Mine\n\nBe kind.")
    again = fields(founder.post("/projects/new/", back | {"go": "next"}))
    assert (again["guideline_body"], again["overlap"]) == ("# Mine\n\nBe kind.", "2")
    other = fields(founder.post("/projects/new/", back | {"preset": "llama2", "go": "next"}))
    assert "safe" in other["guideline_body"]


def test_errors_of_the_set_up(founder: Client) -> None:
    new_project()
    taken = Project.objects.first().slug
    first = fields(founder.get("/projects/new/"))
    answer = founder.post("/projects/new/", first | {"name": "", "slug": "two words", "go": "next"})
    assert answer.status_code == 422
    assert fields(answer)["slug"] == "two words"
    said = answer.content.decode()
    assert 'id="name-error"' in said
    assert 'id="slug-error"' in said
    answer = founder.post("/projects/new/", first | {"name": "Owls", "slug": taken, "go": "next"})
    assert "Choose another" in answer.content.decode()
    answer = founder.post("/projects/new/", first | {"name": "Owls", "slug": "new", "go": "next"})
    assert 'id="slug-error"' in answer.content.decode()
    assert presets.address_for("New") == "new-2"
    second = fields(founder.post("/projects/new/", first | {"name": "Owls", "go": "next"}))
    answer = founder.post("/projects/new/", second | {"preset": "gpt-9", "go": "next"})
    assert answer.status_code == 422
    third = fields(founder.post("/projects/new/", second | {"go": "next"}))
    wrong = {"overlap": "0", "guideline_body": " ", "lease_seconds": "12"}
    answer = founder.post("/projects/new/", third | wrong | {"go": "next"})
    assert answer.status_code == 422
    assert answer.content.decode().count('role="alert"') == 3
    assert fields(answer)["lease_seconds"] == "12"


def test_an_address_that_was_taken_meanwhile(founder: Client) -> None:
    form = fields(founder.get("/projects/new/")) | {"name": "Owls"}
    for _ in range(3):
        form = fields(founder.post("/projects/new/", form | {"go": "next"}))
    assert form["step"] == "check"
    presets.create(owner=User.objects.get(username="kim"), slug="owls", name="Other")
    answer = founder.post("/projects/new/", form | {"go": "next"})
    assert answer.status_code == 422
    assert (fields(answer)["step"], fields(answer)["name"]) == ("about", "Owls")


def test_who_may_make_projects(project: Project, page: Client) -> None:
    assert page.get("/projects/new/").status_code == 200
    labeler = Client()
    labeler.force_login(new_labeler(project).user)
    assert labeler.get("/projects/new/").status_code == 403
    assert b"/projects/new/" not in labeler.get("/").content
    assert b"/projects/new/" in page.get("/").content


def test_an_empty_installation_says_what_to_do(founder: Client) -> None:
    said = founder.get("/").content.decode()
    assert "No project yet" in said
    assert "/projects/new/" in said


def test_projects_by_the_api(project: Project) -> None:
    api = APIClient()
    api.force_authenticate(new_labeler(project, role="owner").user)
    body = {"slug": "kites", "name": "Kites", "preset": "arena", "settings": {"overlap": 2}}
    made = api.post("/api/projects/", body, format="json")
    assert (made.status_code, made.json()["overlap"], made.json()["role"]) == (201, 2, "owner")
    for wrong, field in (
        (body, "slug"),
        ({**body, "slug": "k2", "preset": "none"}, "preset"),
        ({**body, "slug": "k2", "settings": {"overlap": 0}}, "overlap"),
        ({**body, "slug": "k2", "settings": {"colour": 1}}, "colour"),
        ({**body, "slug": "k2", "title": "x"}, "title"),
    ):
        answer = api.post("/api/projects/", wrong, format="json")
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, field)
    other = APIClient()
    other.force_authenticate(new_labeler(project).user)
    assert other.post("/api/projects/", {**body, "slug": "k3"}, format="json").status_code == 403
