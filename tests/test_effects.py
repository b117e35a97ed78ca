"""Publishing a guideline version acts on tasks, and never on labels."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from guidelines import publish
from guidelines.models import Guideline
from labeling import annotate, queue
from labeling.models import Annotation, Event, Labeler, Lease, Membership, Project, Prompt, Task

pytestmark = pytest.mark.django_db


@pytest.fixture
def project() -> Project:
    guideline = Guideline.objects.create(slug="kind", title="Kind stories")
    publish.publish(guideline=guideline, body="# Be kind")
    return Project.objects.create(slug="stories", name="Stories", guideline=guideline)


@pytest.fixture
def labeler(project: Project) -> Labeler:
    user = User.objects.create_user("leo")
    Membership.objects.create(project=project, user=user, role=Membership.Role.LABELER)
    return Labeler.objects.create(user=user, name="leo")


def add_tasks(project: Project, n: int) -> list[Task]:
    prompts = [
        Prompt.objects.create(
            project=project,
            messages=[{"role": "user", "content": f"Story {i}"}],
            text_hash=f"{project.pk}-{i}",
        )
        for i in range(n)
    ]
    version = project.guideline.current
    return [
        Task.objects.create(project=project, kind="demonstrate", prompt=prompt, guideline_version=version)
        for prompt in prompts
    ]


def foreseen(guideline: Guideline, body: str = "# Be kinder") -> list[str]:
    """What the page says before the click."""
    return [told.sentence for told in publish.preview(publish.propose(guideline=guideline, body=body))]


def test_reissues_what_nobody_began(project: Project, labeler: Labeler) -> None:
    add_tasks(project, 3)
    done = queue.lease_next(labeler=labeler, project=project)
    annotate.submit(lease_id=done.pk, labeler=labeler, submission_id=uuid4(), answer={"text": "A fox."})
    held = queue.lease_next(labeler=labeler, project=project)

    announced = foreseen(project.guideline)
    version, sentences = publish.publish(guideline=project.guideline, body="# Be kinder")

    assert Task.objects.get(pk=done.task_id).guideline_version.number == 1
    assert Task.objects.get(pk=held.task_id).guideline_version.number == 1
    assert list(Task.objects.filter(taken=0).values_list("guideline_version_id", flat=True)) == [version.pk]
    assert Annotation.objects.get().guideline_version.number == 1
    assert "1 open task that nobody has begun is re-issued at the new version." in announced
    assert any(sentence.startswith("1 task in somebody's hands") for sentence in announced)
    assert "1 older label becomes stale: 1 stays in use." in announced
    assert sentences == [
        "1 open task that nobody has begun is re-issued at the new version.",
        "1 older label becomes stale: 1 stays in use.",
    ]


def test_label_made_after_keeps_what_was_read(project: Project, labeler: Labeler) -> None:
    add_tasks(project, 1)
    lease = queue.lease_next(labeler=labeler, project=project)
    publish.publish(guideline=project.guideline, body="# Be kinder")
    label = annotate.submit(
        lease_id=lease.pk, labeler=labeler, submission_id=uuid4(), answer={"text": "A fox."}
    )
    assert label.guideline_version.number == 1


def test_what_was_begun_keeps_its_version_after_its_lease(project: Project, labeler: Labeler) -> None:
    """Who wrote, slept and submits late has read the old version, and the label says so."""
    add_tasks(project, 1)
    lease = queue.lease_next(labeler=labeler, project=project)
    annotate.save_draft(lease_id=lease.pk, labeler=labeler, answer={"text": "A"}, version=0)
    Lease.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    queue.sweep()
    assert "No waiting task needs to be re-issued." in foreseen(project.guideline)
    publish.publish(guideline=project.guideline, body="# Be kinder")
    label = annotate.submit(
        lease_id=lease.pk, labeler=labeler, submission_id=uuid4(), answer={"text": "A fox."}
    )
    assert label.guideline_version.number == 1


def test_reissues_what_was_looked_at_and_left(project: Project, labeler: Labeler) -> None:
    add_tasks(project, 1)
    queue.lease_next(labeler=labeler, project=project)
    Lease.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    queue.sweep()
    publish.publish(guideline=project.guideline, body="# Be kinder")
    assert Task.objects.get().guideline_version.number == 2


def test_counts_a_task_in_two_hands_once(project: Project, labeler: Labeler) -> None:
    add_tasks(project, 1)
    Task.objects.update(wanted=2)
    other = User.objects.create_user("mia")
    Membership.objects.create(project=project, user=other, role=Membership.Role.LABELER)
    for each in (labeler, Labeler.objects.create(user=other, name="mia")):
        queue.lease_next(labeler=each, project=project)
    assert "1 task in somebody's hands keeps the version it was opened at." in foreseen(project.guideline)


def test_leaves_other_guidelines_alone(project: Project) -> None:
    other = Guideline.objects.create(slug="brief", title="Brief stories")
    publish.publish(guideline=other, body="# Be brief")
    elsewhere = Project.objects.create(slug="elsewhere", name="Elsewhere", guideline=other)
    [task] = add_tasks(elsewhere, 1)
    publish.publish(guideline=project.guideline, body="# Be kinder")
    task.refresh_from_db()
    assert task.guideline_version.guideline == other
    assert "No waiting task needs to be re-issued." in foreseen(project.guideline)


def test_tells_the_browsers(project: Project) -> None:
    publish.publish(guideline=project.guideline, body="# Be kinder")
    assert Event.objects.filter(project=project, kind="guideline").get().reference == {"version": 2}


@pytest.mark.django_db(transaction=True)
def test_two_publish_upon_the_same_version(project: Project) -> None:
    """The second one is told, and overwrites nothing unseen."""
    barrier = Barrier(2)

    def work(name: str) -> str:
        try:
            barrier.wait(30)
            publish.publish(guideline=project.guideline, body=f"# By {name}", based_on=1)
            return "published"
        except publish.GuidelineError as error:
            return str(error)
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        refused, published = sorted(pool.map(work, ("ada", "kim")))
    assert "Version 2 was published while you wrote" in refused
    assert published == "published"
    assert project.guideline.versions.count() == 2
