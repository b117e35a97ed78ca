"""What the benchmarks measure by hand must be what the platform does."""

import numpy as np
import pytest
from scenes import new_labeler, new_project, new_task

from benchmarks import crowd_world, queue_floor, queue_world, spammers
from labeling.datasets import dataset
from labeling.models import Annotation, Lease


@pytest.mark.django_db(transaction=True)
def test_the_floor_labels_as_the_queue_does() -> None:
    project = new_project()
    labeler = new_labeler(project)
    for _ in range(3):
        new_task(project)
    took = queue_floor.run(slug=project.slug, labeler=labeler, most=3)
    labels = Annotation.objects.filter(labeler=labeler)
    assert len(took) == labels.count() == Lease.objects.filter(state="submitted").count() == 3
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


def test_a_crew_is_as_the_benchmark_says() -> None:
    crew = spammers.Crew(seed=1000, labels=30, answers=4, overlap=3)
    tasks, people = crew.taken.T
    assert np.all(np.bincount(people) == 24)
    assert len(np.unique(crew.taken, axis=0)) == len(tasks)
    assert (np.bincount(tasks) == 3).mean() > 0.95
    assert 0.7 < crew.about()["honest_agreement"] < 0.76
    evidence = crew.evidence(with_rm=False)
    assert evidence.first is not None
    for kind, chosen in (("first", evidence.first), ("longest", evidence.longest)):
        spammer = (crew.kind == kind)[evidence.labels.labeler]
        assert (
            chosen[spammer].mean()
            > 0.85
            > 0.7
            > chosen[(crew.kind == "honest")[evidence.labels.labeler]].mean()
        )


def test_spammers_are_told_from_honest_labelers() -> None:
    found = spammers.measure(seeds=range(1000, 1003))
    assert min(found["auc_at_30"], found["auc_at_15_with_rm"]) > 0.9
    assert max(found["honest_suspected"].values()) < 0.03
    assert min(found["spammers_suspected"].values()) > 0.7
    crew = spammers.Crew(seed=1000, labels=30, answers=4, overlap=3)
    assert crew.aucs(np.zeros(spammers.LABELERS))["all"] == 0.5
