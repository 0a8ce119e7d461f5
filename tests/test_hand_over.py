"""Ctrl-C at every step of reading ahead and writing behind: the command ends, and nothing waits for ever."""

import queue
import sys
import threading
from contextlib import closing
from types import FrameType

import pytest

from inference.commands import command
from inference.run import hand_over, read_ahead, writer
from inference.run.hand_over import HandOver
from inference.run.read_ahead import ReadAhead
from inference.run.writer import BackgroundWriter

INTERRUPTED = {hand_over.__file__, read_ahead.__file__, writer.__file__, queue.__file__}
STARTING = ("__init__", "__enter__")      # interrupted here, the thread stays until the process ends
PATIENCE = 60      # seconds; only a thread that waits for ever takes so long


class Keeper(BackgroundWriter):
    """Keeps what it is given."""

    def __init__(self) -> None:
        super().__init__("test", waiting=2)
        self.kept: list[int] = []

    def _write(self, number: int) -> None:
        self.kept.append(number)


class Interrupter:
    """A trace function that raises KeyboardInterrupt at the given instruction of the files above."""

    def __init__(self, step: int) -> None:
        self.left = step

    def __call__(self, frame: FrameType, event: str, _: object) -> "Interrupter | None":
        code = frame.f_code
        if code.co_filename not in INTERRUPTED or code.co_name in STARTING:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt
        return self


def copy(step: int, ended: list[str]) -> None:
    """Numbers from a reading thread to a writing one, with Ctrl-C at a step; notes how this ended."""
    interrupter = Interrupter(step)
    sys.settrace(interrupter)
    try:
        with Keeper() as keeper, closing(ReadAhead(range(4), depth=1)) as numbers:
            for number in numbers:
                keeper.write(number)
        ended.append("whole" if interrupter.left > 0 and keeper.kept == [0, 1, 2, 3] else "partial")
    except KeyboardInterrupt:
        ended.append("interrupted")
    finally:
        sys.settrace(None)


def test_ctrl_c_at_any_step_ends_reading_and_writing():
    ended: list[str] = []
    while "whole" not in ended:
        thread = threading.Thread(target=copy, args=(len(ended) + 1, ended), daemon=True)
        thread.start()
        thread.join(PATIENCE)
        assert not thread.is_alive(), f"waits for ever if interrupted at step {len(ended) + 1}"
    assert len(ended) > 200
    assert set(ended[:-1]) == {"interrupted"}


def test_a_lost_item_or_place_blocks_nobody():
    places = HandOver[int](2)
    assert places.put(0)
    places._places.get()                # the place of an item that was never put
    places.put_last(1)
    assert [places.get(), places.get()] == [0, 1]
    assert places.empty()
    places.close()
    assert not places.put(2)
    assert not places.put(3)
    assert places.empty()


def test_an_error_while_ctrl_c_is_handled_is_still_ctrl_c(capsys):
    @command()
    def main():
        try:
            raise KeyboardInterrupt
        finally:
            raise RuntimeError("release unlocked lock")         # as `threading` does, interrupted as it takes a lock

    with pytest.raises(SystemExit, match="130"):
        main()
    assert capsys.readouterr().err.startswith("interrupted; run the same command again")
