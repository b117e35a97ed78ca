"""What the benchmarks measure by hand must be what the platform does."""

import time

import pytest
from scenes import new_labeler, new_project, new_task

from benchmarks import crowd_world, queue_floor, queue_world
from labeling.datasets import dataset
from labeling.models import Annotation, Lease


@pytest.mark.django_db(transaction=True)
def test_the_floor_labels_as_the_queue_does() -> None:
    project = new_project()
    labeler = new_labeler(project)
    for _ in range(40):
        new_task(project)
    took = queue_floor.run(slug=project.slug, labeler=labeler, until=time.monotonic() + 0.01)
    labels = Annotation.objects.filter(labeler=labeler)
    assert len(took) == labels.count() == Lease.objects.filter(state="submitted").count() > 0
    assert {label.guideline_version_id for label in labels} == {project.guideline.current.pk}
    assert all(label.task.taken == 1 for label in labels)


@pytest.mark.django_db(transaction=True)
def test_the_archive_is_as_if_people_had_labeled_it() -> None:
    people = queue_world.add_people(4)
    project = crowd_world.archive(12, k=3, people=people)
    assert Annotation.objects.trainable().count() == 12
    assert set(crowd_world.faults(set()).values()) == {0}
    frozen = dataset.freeze(project=project, kind="preferences")
    assert (frozen.size, {len(row["completions"]) for row in dataset.rows(frozen)}) == (12, {3})
