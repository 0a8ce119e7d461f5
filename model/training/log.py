"""What a training run shows: curves and pictures in TensorBoard, and a progress bar on the console."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from model.normalization import IMAGE_MEAN, IMAGE_STD

_COLORS = torch.tensor([[0.0, 0, 0], [0.5, 0, 0], [0, 0.5, 0], [0.5, 0.5, 0], [0, 0, 0.5]])   # of DAVIS


class TrainingLog:
    """TensorBoard under `folder` and a progress bar. A process that is not `active` shows nothing.

    Use it as a context manager. Call `step` once per iteration, `scalars` and `pictures` when there are new values.
    """

    def __init__(self, folder: Path, iteration: int, iterations: int, name: str, active: bool) -> None:
        self.folder = folder
        with self._named():
            self.writer = SummaryWriter(str(folder), purge_step=iteration) if active else None
        self.bar = tqdm(
            total=iterations, initial=iteration, desc=name, unit="it", dynamic_ncols=True, mininterval=1.0,
            smoothing=0.05, disable=not active,
        )
        self.waiting = self.computing = 0.0       # seconds since the last scalars
        self.samples = 0
        self._mark = time.perf_counter()

    def __enter__(self) -> "TrainingLog":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close both. If an error ended the run, it is reported, not a second one from closing."""
        self.bar.close()
        with self._named(), suppress(*[OSError] if error else []):
            if self.writer is not None:
                self.writer.close()

    @contextmanager
    def _named(self) -> Iterator[None]:
        """TensorBoard's write errors name no file: add the name of the folder."""
        try:
            yield
        except OSError as error:
            error.filename = error.filename or str(self.folder)
            raise

    def waited(self) -> None:
        """Count the time since the last call as waiting for data."""
        self.waiting += self._lap()

    def step(self, samples: int) -> None:
        """Count the time since the last call as computing, and one iteration over `samples` samples (all processes)."""
        self.computing += self._lap()
        self.samples += samples
        self.bar.update()

    def scalars(self, values: dict[str, float], iteration: int, device: torch.device) -> None:
        """Add points to the curves, and how the time since the last call was spent."""
        seconds = max(self.waiting + self.computing, 1e-9)
        values |= {
            "samples_per_second": self.samples / seconds, "share_waiting_for_data": self.waiting / seconds,
        }
        if device.type == "cuda":
            values["peak_memory_gib"] = torch.cuda.max_memory_allocated(device) / 2**30
        self._add_scalars("train", values, iteration)
        last = [name for name in values if name.startswith("iou_frame_")][-1]
        self.bar.set_postfix(loss=f"{values['total']:.3f}", IoU=f"{values[last]:.2f}", refresh=False)
        self.waiting = self.computing = 0.0
        self.samples = 0

    def validation(self, values: dict[str, float], iteration: int) -> None:
        self._add_scalars("validation", values, iteration)

    def pictures(self, frames: Tensor, labels: Tensor, masks: Tensor, iteration: int) -> None:
        """Three rows of one sample of N frames: the frames, their ground truth, and the predictions after the first.

        frames [N, 3, H, W] normalized; labels [N, H, W]; masks [N - 1, objects, H, W].
        """
        if self.writer is None:
            return
        mean, std = (torch.tensor(x).view(3, 1, 1) for x in (IMAGE_MEAN, IMAGE_STD))
        shown = (frames.float().cpu() * std + mean).clamp(0, 1)
        best = torch.cat([1 - masks.sum(1, keepdim=True), masks], 1).argmax(1).cpu()
        truth, predicted = _color(shown, labels.cpu()), _color(shown, torch.cat([labels[:1].cpu(), best]))
        rows = [torch.cat(list(row), 2) for row in (shown, truth, predicted)]
        with self._named():
            self.writer.add_image("frames, truth, prediction", torch.cat(rows, 1), iteration)

    def _add_scalars(self, group: str, values: dict[str, float], iteration: int) -> None:
        if self.writer is None:
            return
        with self._named():
            for name, value in values.items():
                self.writer.add_scalar(f"{group}/{name}", value, iteration)

    def _lap(self) -> float:
        now = time.perf_counter()
        seconds, self._mark = now - self._mark, now
        return seconds


def _color(frames: Tensor, labels: Tensor) -> Tensor:
    """[N, 3, H, W] frames with their labels [N, H, W] drawn over them, half transparent."""
    colors = _COLORS[labels % len(_COLORS)].permute(0, 3, 1, 2)
    return torch.where((labels > 0)[:, None], 0.5 * frames + 0.5 * colors, frames)
