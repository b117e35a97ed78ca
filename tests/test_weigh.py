"""What labels count by the reliability of who gave them, in a dataset and what is exported of it."""

import random

import pytest
from scenes import new_labeler, new_project, new_task
from test_quality import label

from labeling.datasets import dataset
from labeling.quality import weigh

pytestmark = pytest.mark.django_db
TASKS = 16


@pytest.fixture
def crew():
    """Four who mostly see the same order, one who does not look, and one who came just now."""
    rng = random.Random(5)
    project = new_project(overlap=6)
    honest = [new_labeler(project) for _ in range(4)]
    careless, newcomer = new_labeler(project), new_labeler(project)
    for at in range(TASKS):
        task = new_task(project)
        truth = rng.sample(range(3), 3)
        for person in honest:
            order = truth if rng.random() < 0.85 else [truth[1], truth[0], truth[2]]
            label(task, person, order=order)
        label(task, careless, order=rng.sample(range(3), 3))
        if at == 0:
            label(task, newcomer, order=truth)
    return project, honest, careless, newcomer


def test_who_does_not_look_counts_little(crew):
    project, honest, careless, newcomer = crew
    weights = weigh.by_labeler(project)
    assert str(newcomer.pk) not in weights
    assert min(weights[str(one.pk)] for one in honest) > 0.8
    assert weights[str(careless.pk)] < 0.2


def test_a_dataset_keeps_the_weights(crew):
    project, honest, careless, newcomer = crew
    weights = weigh.by_labeler(project)
    frozen = dataset.freeze(project=project, kind="preferences", filter={"weigh": "reliability"})
    assert frozen.filter == {"weigh": "reliability"}
    kept = dict(frozen.items.values_list("annotation__labeler", "weight"))
    assert kept == {one.pk: weights.get(str(one.pk), weigh.FULL) for one in [*honest, careless, newcomer]}
    assert {row["weight"] for row in dataset.rows(frozen)} == set(kept.values())
    equal = dataset.freeze(project=project, kind="preferences", filter={"weigh": "equal"})
    assert set(equal.items.values_list("weight", flat=True)) == {1.0}


def test_a_weight_that_is_given_goes_before(crew):
    project, _, careless, _ = crew
    own = careless.annotations.first().pk
    frozen = dataset.freeze(
        project=project, kind="preferences", filter={"weigh": "reliability"}, weights={own: 0.5}
    )
    assert frozen.items.get(annotation=own).weight == 0.5


@pytest.mark.parametrize("weigh", ["heavily", None, ["equal"], {}])
def test_an_unknown_way_is_refused(crew, weigh):
    with pytest.raises(dataset.DatasetError, match="equal or reliability") as refused:
        dataset.freeze(project=crew[0], kind="preferences", filter={"weigh": weigh})
    assert refused.value.field == "filter.weigh"


def test_alone_somebody_counts_in_full():
    """Nobody else labeled what they did, so nothing tells how well they judge."""
    project = new_project()
    alone = new_labeler(project)
    for _ in range(TASKS):
        label(new_task(project), alone)
    frozen = dataset.freeze(project=project, kind="preferences", filter={"weigh": "reliability"})
    assert set(frozen.items.values_list("weight", flat=True)) == {weigh.FULL}
