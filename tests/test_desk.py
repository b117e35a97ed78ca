"""The labelers' first page and what surrounds it: what waits, what is begun, sign-in, guidelines, tokens."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from scenes import an_answer, new_labeler, new_project, new_task

from guidelines import publish
from guidelines.render import body_html, markdown
from labeling import annotate, queue
from labeling.models import Annotation, ApiToken, Labeler, Lease, Membership, Project, Task
from labeling.people import demo_accounts
from labeling.people.desk import desk, waiting
from labeling.reviewing import reviews

pytestmark = pytest.mark.django_db


def submitted(labeler: Labeler, project: Project) -> None:
    lease = queue.lease_next(labeler=labeler, project=project)
    annotate.submit(
        lease_id=lease.pk,
        labeler=labeler,
        submission_id=uuid.uuid4(),
        answer=an_answer(lease),
        active_seconds=90,
    )


def member(labeler: Labeler) -> Membership:
    return Membership.objects.select_related("project").get(user=labeler.user)


def rankings(labeler: Labeler) -> int:
    """How many rankings wait for them, as their first page says."""
    return waiting(membership=member(labeler), labeler=labeler, kinds=["rank"])["rank"]


def test_waiting_is_what_the_queue_would_give():
    project = new_project(overlap=2)
    mia, leo, ada = (new_labeler(project) for _ in range(3))
    for _ in range(4):
        new_task(project)
    new_task(project, kind="demonstrate")
    submitted(mia, project)
    queue.skip(lease_id=queue.lease_next(labeler=mia, project=project).pk, labeler=mia)
    queue.lease_next(labeler=mia, project=project)
    both = waiting(membership=member(leo), labeler=leo, kinds=["rank", "demonstrate"])
    assert both == {"rank": 4, "demonstrate": 1}
    counts = [rankings(each) for each in (mia, leo, ada)]
    assert counts == [2, 4, 4]
    handed = 0
    while lease := queue.lease_next(labeler=mia, project=project, kinds=["rank"]):
        queue.skip(lease_id=lease.pk, labeler=mia)
        handed += 1
    assert handed == counts[0]


def test_waiting_leaves_out_what_others_fill():
    project = new_project(overlap=1)
    mia, leo = new_labeler(project), new_labeler(project)
    new_task(project)
    submitted(leo, project)
    assert rankings(mia) == 0


def test_a_paused_project_shows_only_what_is_in_hand():
    project = new_project()
    mia = new_labeler(project)
    for _ in range(3):
        new_task(project)
    queue.lease_next(labeler=mia, project=project)
    project.paused = True
    project.save()
    assert rankings(mia) == 1


def test_own_counts_drafts_and_time():
    project = new_project()
    mia, leo = new_labeler(project), new_labeler(project)
    for _ in range(3):
        new_task(project)
    submitted(mia, project)
    submitted(leo, project)
    lease = queue.lease_next(labeler=mia, project=project)
    annotate.save_draft(lease_id=lease.pk, labeler=mia, answer={"tiers": []}, version=0)
    mine = desk(user=mia.user, labeler=mia)
    assert (mine.labels, mine.labels_today) == (1, 1)
    assert mine.active_today.total_seconds() == 90
    assert [draft.task_id for draft in mine.projects[0].drafts] == [lease.task_id]
    assert mine.projects[0].begins_with == Task.Kind.RANK


def test_home_says_what_to_do_next(client: Client):
    nobody = new_labeler()
    client.force_login(nobody.user)
    assert b"You are not in a project yet" in client.get("/").content
    project = new_project()
    mia = new_labeler(project)
    client.force_login(mia.user)
    assert b"New tasks appear here by themselves" in client.get("/").content


def test_pages_ask_for_a_sign_in(client: Client):
    for page in ("/", "/account/tokens/", "/projects/stories/work/"):
        answer = client.get(page)
        assert (answer.status_code, answer["Location"]) == (302, f"/accounts/login/?next={page}")


def test_home_and_work_in_few_queries(client: Client, django_assert_max_num_queries):
    project = new_project()
    mia = new_labeler(project)
    for _ in range(5):
        new_task(project)
    client.force_login(mia.user)
    with django_assert_max_num_queries(12):
        client.get("/")
    with django_assert_max_num_queries(6):
        client.get(f"/projects/{project.slug}/work/")
    with django_assert_max_num_queries(9):
        client.get(f"/projects/{project.slug}/left/")


def test_demo_accounts_show_only_on_loopback(client: Client, settings):
    demo_accounts.open_accounts(project=new_project())
    settings.DEMO_ACCOUNTS = False
    assert b'data-username="ada"' not in client.get("/accounts/login/").content
    settings.DEMO_ACCOUNTS = True
    assert b'data-username="ada"' in client.get("/accounts/login/").content


def test_sign_up_is_closed(client: Client):
    assert b"Accounts are made by admins" in client.get("/accounts/signup/").content


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("**kind**", "<p><strong>kind</strong></p>\n"),
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ('<img src=x onerror="alert(1)">', '&lt;img src=x onerror="alert(1)"&gt;'),
        ("[press](javascript:alert(1))", "[press](javascript:alert(1))"),
        ("[press](data:text/html,hi)", "[press](data:text/html,hi)"),
        ("| a | b |\n|---|---|\n| 1 | 2 |", "<td>1</td>"),
    ],
)
def test_markdown_is_safe(text: str, wanted: str):
    html = markdown(text)
    assert wanted in html
    assert "<script" not in html
    assert "<img" not in html
    assert "href" not in html


def test_links_do_not_tell_where_from():
    assert markdown("[guide](https://example.org)") == (
        '<p><a href="https://example.org" rel="noopener noreferrer nofollow">guide</a></p>\n'
    )


def test_drawer_shows_the_version_asked_for(client: Client):
    project = new_project()
    client.force_login(new_labeler(project).user)
    version = project.guideline.current
    answer = client.get(f"/projects/{project.slug}/guideline/{version.number}/")
    assert body_html(version) in answer.content.decode()
    assert client.get(f"/projects/{project.slug}/guideline/99/").status_code == 404


def test_token_names_are_checked(client: Client):
    mia = new_labeler()
    client.force_login(mia.user)
    for name in ("", " ", "x" * 81, "\x00"):
        answer = client.post("/account/tokens/", {"name": name})
        assert answer.status_code == 422
        assert b"between 1 and 80 characters" in answer.content
    assert not ApiToken.objects.exists()


def test_nobody_revokes_the_token_of_another(client: Client):
    mia, leo = new_labeler(), new_labeler()
    client.force_login(mia.user)
    client.post("/account/tokens/", {"name": "notebook"})
    token = ApiToken.objects.get()
    client.force_login(leo.user)
    assert client.post(f"/account/tokens/{token.pk}/revoke/").status_code == 404
    assert ApiToken.objects.filter(pk=token.pk).exists()


def sent_back(project: Project, labeler: Labeler, reason: str) -> Annotation:
    """A label of theirs that a reviewer sent back."""
    submitted(labeler, project)
    label = Annotation.objects.filter(labeler=labeler).latest("pk")
    reviews.make_reviews(project=project)
    reviewer = new_labeler(project, role="reviewer")
    lease = queue.lease_next(labeler=reviewer, project=project, kinds=["review"])
    said = {"decisions": {str(label.pk): {"verdict": "send_back", "reason": reason}}}
    annotate.submit(lease_id=lease.pk, labeler=reviewer, submission_id=uuid.uuid4(), answer=said)
    return label


def test_what_was_sent_back_and_its_appeal(client: Client):
    project = new_project(overlap=1)
    mia = new_labeler(project)
    new_task(project)
    label = sent_back(project, mia, "The <b>second</b> is kinder.")
    (back,) = desk(user=mia.user, labeler=mia).projects[0].sent_back
    assert (back.review.annotation_id, back.is_open) == (label.pk, True)
    client.force_login(mia.user)
    page = client.get("/").content.decode()
    assert f"/projects/{project.slug}/work/rank/?label={label.pk}" in page
    assert "The &lt;b&gt;second&lt;/b&gt; is kinder." in page
    reviews.appeal(annotation_id=label.pk, labeler=mia, text="It is not.")
    assert "your appeal is under way" in client.get("/").content.decode()
    annotate.revise(annotation_id=label.pk, labeler=mia, submission_id=uuid.uuid4(), answer=label.answer)
    assert desk(user=mia.user, labeler=mia).projects[0].sent_back == []


def test_an_admin_is_told_of_an_appeal_that_nobody_may_decide(client: Client):
    project = new_project(overlap=1)
    mia, ada = new_labeler(project), new_labeler(project, role="owner")
    new_task(project)
    submitted(mia, project)
    label = Annotation.objects.get()
    reviews.make_reviews(project=project)
    lease = queue.lease_next(labeler=ada, project=project, kinds=["review"])
    said = {"decisions": {str(label.pk): {"verdict": "send_back", "reason": "No."}}}
    annotate.submit(lease_id=lease.pk, labeler=ada, submission_id=uuid.uuid4(), answer=said)
    reviews.appeal(annotation_id=label.pk, labeler=mia, text="Yes.")
    client.force_login(ada.user)
    assert "1 appeal waits for somebody who had no hand in it" in client.get("/").content.decode()


def test_counts_by_kind_and_day():
    project = new_project(overlap=1)
    mia = new_labeler(project)
    for kind in ("rank", "rank", "rank", "demonstrate"):
        new_task(project, kind=kind)
        submitted(mia, project)
    for later, wanted in ((0, (3, 3)), (1, (0, 3)), (6, (0, 3)), (7, (0, 0))):
        day = timezone.localdate() + timedelta(days=later)
        rank, demonstrate = desk(user=mia.user, labeler=mia, today=day).counts
        assert (rank.kind, rank.today, rank.week, rank.all) == ("rank", *wanted, 3)
        assert (demonstrate.kind, demonstrate.all) == ("demonstrate", 1)


def test_news_of_the_guideline_since_one_last_worked(client: Client):
    project = new_project(overlap=1)
    mia, newcomer = new_labeler(project), new_labeler(project)
    new_task(project)
    submitted(mia, project)
    publish.publish(guideline=project.guideline, body="# Be kinder", note="Kinder still")
    assert desk(user=newcomer.user, labeler=newcomer).projects[0].news is None
    news = desk(user=mia.user, labeler=mia).projects[0].news
    assert (news.number, news.note) == (2, "Kinder still")
    client.force_login(mia.user)
    assert "Kinder still" in client.get("/").content.decode()
    new_task(project)
    queue.lease_next(labeler=mia, project=project)
    assert desk(user=mia.user, labeler=mia).projects[0].news is None


def test_a_desk_costs_the_same_for_many_rows(client: Client):
    project = new_project(overlap=1)
    mia = new_labeler(project)
    client.force_login(mia.user)
    costs = []
    for n in (1, 4):
        for _ in range(n):
            new_task(project)
            sent_back(project, mia, "No.")
            new_task(project)
            lease = queue.lease_next(labeler=mia, project=project)
            annotate.save_draft(lease_id=lease.pk, labeler=mia, answer={"tiers": []}, version=0)
            queue.renew(lease_id=lease.pk, labeler=mia, active_seconds=9)
            Lease.objects.filter(pk=lease.pk).update(expires_at=timezone.now() - timedelta(1))
            queue.sweep()
            Task.objects.filter(pk=lease.task_id).update(state="withdrawn")
        with CaptureQueriesContext(connection) as captured:
            assert client.get("/").status_code == 200
        costs.append(len(captured))
    assert costs[0] == costs[1] <= 12
