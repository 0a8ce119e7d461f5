"""Memory banks in words: what tables call a bank, and which of its options they mention."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from inference.memory.options import POLICIES, MemoryOptions
from inference.options import labels

_IN_THE_TITLE = {"memory", "memory_frames"}      # tables show these in their own way


def relevant(options: MemoryOptions) -> dict[str, Any]:
    """Option -> its value as the policy takes it, or None if it has no effect on this policy."""
    policy = POLICIES[options.memory](options)
    return {name: None if name in policy.ignores else value for name, value in asdict(policy.options).items()}


def bank_title(settings: Mapping[str, Any]) -> str:
    """The bank's name in tables, such as "LFU" or "every-5". settings: values by option name."""
    return _title(settings).format(**{"memory_every": MemoryOptions.memory_every} | dict(settings))


def bank_labels(settings: Mapping[str, Any]) -> list[str]:
    """The options that differ from their defaults and matter to the bank, in words; its title and capacity left out."""
    policy = POLICIES.get(settings["memory"])
    ignored = _IN_THE_TITLE | (policy.ignores if policy else set())
    ignored |= {each.name for each in fields(MemoryOptions) if f"{{{each.name}}}" in _title(settings)}
    return labels(MemoryOptions, settings, ignored)


def _title(settings: Mapping[str, Any]) -> str:
    """With the fields of its format; a policy that no longer exists keeps its name."""
    memory: str = settings["memory"]
    title: str = POLICIES[memory].title if memory in POLICIES else memory.replace("_", "-")
    return title
