"""Which frames to annotate next, on streams made by hand."""

import numpy as np
import pytest

from inference.video.suggest import AnnotationAdvisor, describe

CALM = {1: 1.0}


def key(*places: float) -> np.ndarray:
    return np.array(places, np.float32)


def test_of_equally_unlike_frames_the_least_confident_comes_first_and_confident_ones_never():
    advisor = AnnotationAdvisor()
    advisor.see("00000", CALM, key(0, 0, 0), annotated=True)
    for name, confidence, at in (("a", 0.6, key(1, 0, 0)), ("b", 0.2, key(0, 1, 0)), ("c", 1.0, key(0, 0, 1))):
        advisor.see(name, {1: confidence}, at)
    best = advisor.best()
    assert [each.name for each in best] == ["b", "a"]
    assert best[0].gain == 1
    assert best[1].gain == pytest.approx(0.5)
    assert best[0].wrong == {1: pytest.approx(0.8)}


def test_of_equally_wrong_frames_the_one_least_like_the_annotated_comes_first():
    advisor = AnnotationAdvisor()
    advisor.see("00000", CALM, key(0), annotated=True)
    for name, at in (("near", 1), ("far", -5), ("same", 0)):
        advisor.see(name, {1: 0.5}, key(at))
    assert [each.name for each in advisor.best()] == ["far", "near"]
    advisor.see("00004", CALM, key(-5), annotated=True)              # now the far one has nothing new to show
    assert [each.name for each in advisor.best()] == ["near"]


def test_neighbors_are_not_all_suggested():
    """Two stretches of wrong masks; the first is a little worse, but one frame of it is enough."""
    advisor = AnnotationAdvisor()
    advisor.see("00000", CALM, key(0, 0), annotated=True)
    for index in range(1, 60):
        if 10 <= index < 20:
            advisor.see(f"{index:05d}", {1: 0.1}, key(5, 0.01 * index))
        elif 40 <= index < 50:
            advisor.see(f"{index:05d}", {1: 0.2}, key(0.01 * index, 5))
        else:
            advisor.see(f"{index:05d}", {1: 0.95}, key(1, 1))
    first, second = (int(each.name) for each in advisor.best(2))
    assert 10 <= first < 20
    assert 40 <= second < 50
    assert len(advisor.best(3, least=0.5)) == 3
    assert all(each.wrong[1] >= 0.5 for each in advisor.best(40, least=0.5))


def test_several_wrong_masks_count_more_than_one():
    advisor = AnnotationAdvisor()
    advisor.see("one", {1: 0.4, 2: 1.0}, key(1, 0))
    advisor.see("two", {1: 0.6, 2: 0.6}, key(0, 1))
    assert [each.name for each in advisor.best(1)] == ["two"]


def test_hours_of_video_take_the_same_memory_and_keep_the_worst_of_every_part():
    advisor = AnnotationAdvisor(kept=16)
    rng = np.random.default_rng(0)
    worst = {317: 0.0, 1504: 0.05, 2801: 0.1}
    for index in range(3000):
        if index % 100 == 0:
            advisor.see(str(index), CALM, key(0, 0), annotated=True)
        else:
            at = key(3 + list(worst).index(index), 5) if index in worst else rng.random(2)
            advisor.see(str(index), {1: worst.get(index, 0.7)}, at)
        assert advisor.candidates <= 16
        assert advisor.annotated <= 16
    assert {each.name for each in advisor.best(3)} == set(map(str, worst))


def test_words_for_people():
    advisor = AnnotationAdvisor()
    assert describe(advisor.best()) == "no frame is worth annotating: every mask is likely right"
    advisor.see("00042", {1: 0.9, 2: 0.25}, key(1))
    assert describe(advisor.best()) == "frames worth annotating next: 00042 (object 2, confidence 0.25)"
    with pytest.raises(ValueError, match="at least 2"):
        AnnotationAdvisor(kept=1)
