"""The settings of an ablation: every combination of memory options that makes a difference."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from itertools import product
from typing import Any

from inference.memory import POLICIES, MemoryConfigError, MemoryOptions, make_bank
from inference.memory.labels import bank_title, relevant
from inference.options import label


def settings_of(lists: Mapping[str, Sequence[Any]]) -> tuple[list[MemoryOptions], list[str]]:
    """The product of the lists (option -> values), in their order and without repeats, and notes on what is left out.

    Options without effect on a bank do not multiply it: banks that are unbounded by default run once instead of once
    per capacity, `index` multiplies lfu and its subclasses only, and first_and_latest needs no interval. Combinations
    that contradict themselves are left out, each with a note. Raises MemoryConfigError if nothing is left.
    """
    asked = (MemoryOptions(**dict(zip(lists, values, strict=True))) for values in product(*lists.values()))
    allowed, notes = [], []
    for setting in dict.fromkeys(map(_without_ignored, asked)):
        try:
            make_bank(setting)
            allowed.append(setting)
        except MemoryConfigError as error:
            notes.append(f"{name_of(setting)} left out: {error}")
    if not allowed:
        raise MemoryConfigError(notes[-1])
    return allowed, notes


def name_of(setting: MemoryOptions) -> str:
    """The name of its records and its folder of masks: "lfu2-every5-top20-topk"."""
    values, default = relevant(setting), MemoryOptions()
    parts = [f"{values.pop('memory')}{values.pop('memory_frames') or ''}"]
    for each in fields(setting):
        value, short = values.get(each.name), each.metadata["short"]
        always = short is not None and not isinstance(value, bool)
        if value is not None and (always or value != getattr(default, each.name)):
            parts.append((short or f"{each.name}{{}}").format(value))
    return "-".join(parts)


def titles(settings: Sequence[MemoryOptions]) -> dict[MemoryOptions, tuple[str, str]]:
    """(family, title) of each setting in words: "LFU, softmax index" and "LFU, 2 frames, softmax index".

    Options that all settings share are left out of both.
    """
    shown = {setting: relevant(setting) for setting in settings}
    varying = {
        each.name for each in fields(MemoryOptions) if each.name not in ("memory", "memory_frames")
        and len({value for values in shown.values() if (value := values[each.name]) is not None}) > 1
    }
    named = {}
    for setting, values in shown.items():
        bank, title = bank_title(values), POLICIES[setting.memory].title
        words = [
            label(each, values[each.name]) for each in fields(setting)
            if each.name in varying and values[each.name] not in (None, False) and f"{{{each.name}}}" not in title
        ]
        frames = setting.memory_frames
        capacity = [f"{frames} frame{'s' * (frames != 1)}"] if frames else []
        named[setting] = ", ".join([bank, *words]), ", ".join([bank, *capacity, *words])
    return named


def _without_ignored(setting: MemoryOptions) -> MemoryOptions:
    """The setting as its policy takes it, options without effect at their defaults."""
    policy, default = POLICIES[setting.memory](setting), MemoryOptions()
    ignored = policy.ignores | (set() if policy.default_frames else {"memory_frames"})
    options: MemoryOptions = policy.options
    return replace(options, **{name: getattr(default, name) for name in ignored})
