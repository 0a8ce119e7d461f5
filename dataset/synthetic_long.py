"""Long synthetic clips for memory banks: objects leave and return changed, hide, meet look-alikes; the scene changes.

A clip keeps nothing of its frames: each is a pure function of (seed, frame number), as in `synthetic_clip.py`. Times
are in frames; all durations grow with the length of the clip.
"""

from dataclasses import replace

import numpy as np

from dataset.synthetic_body import UNCHANGED, Body, Change, Painted
from dataset.synthetic_clip import Scene, SyntheticClip
from dataset.synthetic_events import Event, EventLog, Kind
from dataset.synthetic_texture import random_palette, random_texture

_KINDS: tuple[Kind, ...] = ("leave", "hide", "look-alike")
_FADE = 8                   # frames in which one scene becomes the next
_SCENES = 3                 # of a clip
_REACH = 2.2                # half the width of a body, in radii of it, at most
_COVER = 1.7                # radius of what hides an object, in radii of that


class LongClip(SyntheticClip):
    """A clip of `length` frames with `events`.

    When an object leaves, it slides out of the frame on one side and returns later on one side, with another size,
    orientation and brightness, which it keeps until it leaves again. It hides behind a large body that comes and goes.
    A look-alike has its colors, in half of the cases its very pattern, comes close to it, and goes. The scene is
    replaced twice, for good. Raises DatasetError as `SyntheticClip` does.
    """

    def __init__(
        self, seed: int, size: tuple[int, int] = (240, 432), length: int = 1000, objects: int = 3
    ) -> None:
        super().__init__(seed, size, length, objects)
        self.pace = min(1.0, length / 1000)
        rng = np.random.default_rng([3, seed])
        scenes = [self._scene, *(Scene(rng, self.size, [random_palette(rng)]) for _ in range(_SCENES - 1))]
        times = [round(length * (index + rng.uniform(-0.2, 0.2)) / _SCENES) for index in range(1, _SCENES)]
        self._scene = ChangingScene(scenes, times)
        self.events = [Event("background", 0, time, min(time + _FADE, length)) for time in times]
        actors: list[Painted] = []
        for body in (body for body in self._bodies if isinstance(body, Body)):
            events = self._plan(rng, body.number)
            target = Target(body, [event for event in events if event.kind == "leave"], rng, self)
            actors += [target, *(Visitor(target, event, rng, self) for event in events if event.kind != "leave")]
            self.events += events
        self._bodies = sorted(actors, key=lambda actor: actor.depth)
        self.events.sort(key=lambda event: (event.start, event.object))

    def log(self) -> EventLog:
        """An empty log of its events."""
        return EventLog(self.length, self.events)

    @property
    def ramp(self) -> int:
        """Frames in which something comes or goes."""
        return max(4, round(25 * self.pace))

    def _plan(self, rng: np.random.Generator, number: int) -> list[Event]:
        """The events of an object, one after another with rests between them; every kind occurs in turn."""
        events: list[Event] = []
        time = round(rng.uniform(40, 260) * self.pace) + 1        # not all objects at once
        kinds: list[Kind] = []
        while True:
            kinds = kinds or [_KINDS[index] for index in rng.permutation(len(_KINDS))]
            longest = 0.08 * self.length if kinds[-1] == "leave" else 60 * self.pace
            duration = 2 * self.ramp + round(rng.uniform(15 * self.pace, 15 * self.pace + longest))
            if time + duration + self.ramp >= self.length:
                return events
            events.append(Event(kinds.pop(), number, time, time + duration))
            time += duration + self.ramp + round(rng.uniform(40, 130) * self.pace)


class ChangingScene(Scene):
    """Scenes one after another, each fading into the next, beginning at `times`."""

    def __init__(self, scenes: list[Scene], times: list[int]) -> None:
        self._scenes, self._times = scenes, times

    def behind(self, t: int) -> np.ndarray:
        index = self._index(t)
        view = self._scenes[index].behind(t)
        since = t - self._times[index - 1] if index else _FADE
        if since >= _FADE:
            return view
        share = (since + 1) / (_FADE + 1)
        faded: np.ndarray = (share * view + (1 - share) * self._scenes[index - 1].behind(t)).astype(np.uint8)
        return faded

    def before(self, t: int) -> tuple[np.ndarray, np.ndarray] | None:
        return self._scenes[self._index(t)].before(t)

    def _index(self, t: int) -> int:
        return sum(t >= time for time in self._times)


class Target:
    """An object that leaves and returns."""

    def __init__(self, body: Body, events: list[Event], rng: np.random.Generator, clip: LongClip) -> None:
        self.body, self.number, self.depth = body, body.number, body.depth
        self._events, self._clip = events, clip
        self._sides = rng.integers(2, size=(len(events), 2))                 # where it leaves, and where it returns
        looks = [Change((0.0, 0.0), rng.uniform(-1.2, 1.2), rng.uniform(-0.4, 0.4), rng.uniform(0.65, 1.25))
                 for _ in events]
        self._looks = [UNCHANGED, *looks]

    def paint(self, image: np.ndarray, labels: np.ndarray, t: int) -> None:
        shift = self.place(t) - self.body.place(t)
        self.body.paint(image, labels, t, replace(self.look(t), shift=tuple(shift)))

    def look(self, t: int) -> Change:
        """That of its last return; it changes in the middle of an absence."""
        return self._looks[sum(t >= _middle(event) for event in self._events)]

    def place(self, t: int) -> np.ndarray:
        """Its center, (x, y), wherever its events put it."""
        place = self.body.place(t)
        for event, sides in zip(self._events, self._sides, strict=True):
            if share := event.presence(t, self._clip.ramp):
                side = int(sides[int(t >= _middle(event))])
                outside = _outside(self._clip.size[1], side, self.reach(t), place[1])
                return place + share * (outside - place)
        return place

    def reach(self, t: int) -> float:
        """Half its width, at most."""
        return _REACH * self.body.radius * float(np.exp(self.look(t).log_scale))


class Visitor:
    """A body without a number that comes to an object and goes: what it hides behind, or its look-alike."""

    number = 0

    def __init__(self, target: Target, event: Event, rng: np.random.Generator, clip: LongClip) -> None:
        self._target, self._event, self._clip, self._side = target, event, clip, int(rng.integers(2))
        hides, model = event.kind == "hide", target.body
        palette = random_palette(rng, muted=True) if hides else clip.palettes[target.number - 1]
        same = not hides and rng.random() < 0.5
        texture = model.texture if same else random_texture(rng, model.texture.shape[:2], palette)
        self._body = Body(rng, 0, clip.size, 0, texture)
        size = float(np.exp(target.look(event.start).log_scale)) * model.radius
        self._body.radius = size * (_COVER if hides else rng.uniform(0.8, 1.2))
        self._beside = np.zeros(2) if hides else rng.choice([-1, 1], 2) * size * rng.uniform(0.7, 1.3, 2)
        self._follows = 1.0 if hides else 0.7                 # how closely
        self.depth = 2.0 if hides else rng.random()           # objects have depths below 1

    def paint(self, image: np.ndarray, labels: np.ndarray, t: int) -> None:
        if not self._event.start < t < self._event.end:
            return
        own = self._body.place(t)
        there = own + self._follows * (self._target.place(t) + self._beside - own)
        away = _outside(self._clip.size[1], self._side, _REACH * self._body.radius, there[1])
        place = away + self._event.presence(t, self._clip.ramp) * (there - away)
        self._body.paint(image, labels, t, Change(tuple(place - own)))


def _outside(width: int, side: int, reach: float, y: float) -> np.ndarray:
    """A place beyond the left (0) or right (1) border where nothing of a body is seen."""
    return np.array([width + reach if side else -reach, y])


def _middle(event: Event) -> int:
    return (event.start + event.end) // 2
