"""What the benchmarks measure by hand must be what the platform does."""

import time

import pytest
from scenes import new_labeler, new_project, new_task

from benchmarks import queue_floor
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
