"""VideoSegmenter: one frame in, one mask out, without end. It knows no file, no data set and no whole video."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from dataset.masks import labels_in
from inference.decoding import DECODINGS, chosen_decoding
from inference.encoding import Encoded, FrameEncoder, checked_frame
from inference.memory import Admission, MemoryBank, MemoryConfigError
from inference.objects import ObjectTable, checked_annotation
from inference.quality import Quality, frame_quality, mask_quality
from inference.transfer import Download, upload
from model.aggregation import aggregate
from model.cells import owners
from model.errors import CheckpointError
from model.geometry import padding, unpad
from model.network import STCN
from model.precision import in_own_precision
from model.storage import read_file, save_file


class VideoSegmenter:
    """Streams a video through the network and a memory bank.

    Args:
        network: on the device to compute on. A prepared copy of it is used (`model.fast`): the same masks, faster.
        memory: a bank of `build_memory`; one bank serves one video at a time.
        memory_every: a frame is stored if at least this many frames have passed since the last one stored.
        precision: "fp32", "bf16", "fp16", "tf32" or "auto" for the prepared network (`model.precision`); matching stays
        in fp32. "fp64": everything in float64, on the plain path.
        plain: use the network as it is, in fp32 or fp64, and read by dense weights: the oracle of the fast path.
        decode: "full"; "window": decode only where an object can be; "auto": so where it is faster, measured at the
        first frame and kept for the machine (`inference.decoding`).
        objects_at_once: how many objects the network sees at once; None: all. With fewer, many objects take less memory
        and a little more time, and the masks are the same up to rounding.
        float_frames: frames are float32 in the same units, 0 to 255, instead of uint8 (`inference.stcn_resize`).
    """

    def __init__(
        self, network: STCN, memory: MemoryBank, memory_every: int = 5, precision: str = "fp32", plain: bool = False,
        decode: str = "full", objects_at_once: int | None = None, float_frames: bool = False,
    ) -> None:
        if memory_every < 1:
            raise ValueError(f"memory_every: expected at least 1, found {memory_every}")
        if objects_at_once is not None and objects_at_once < 1:
            raise ValueError(f"objects_at_once: expected at least 1, or None, found {objects_at_once}")
        self.encoder = FrameEncoder(network, precision, plain)
        self.network, self.device = self.encoder.network, self.encoder.device
        self.precision, self.dtype = self.encoder.precision, self.encoder.dtype
        self.decode = chosen_decoding(decode, self.network, self.encoder.plain)
        self.decoding = DECODINGS[self.decode](self.network, objects_at_once)
        self.memory, self.memory_every = memory, memory_every
        self.memory.plain = self.encoder.plain
        self.frame_dtype = np.float32 if float_frames else np.uint8
        self._shown: list[int] = []                # the objects of the last probabilities
        self.reset()

    def reset(self, keep_memory: bool = False) -> None:
        """Forget the video, ready for another one. With `keep_memory` the bank and its objects stay: the segmenter
        looks for them in the next video."""
        self._size: tuple[int, int] | None = None
        self._key: Tensor | None = None            # [C_k, h, w], of the last frame
        if keep_memory:
            return
        self.memory.reset()
        self.frame_index = 0                       # of the next frame
        self.last_write: int | None = None         # frame index of the last memory frame
        self.table = ObjectTable()

    def freeze(self, frozen: bool = True) -> None:
        """From now on read the bank, but neither write to it nor count its use (False: do so again)."""
        self.memory.frozen = frozen

    def forget(self, number: int) -> None:
        """Forget an object: its values, and entries that show no other object. Other objects are read as before.

        From the next frame on it is unknown; an annotation may make it a new object. Raises ValueError for an unknown
        object.
        """
        for place in reversed(self._places(number)):
            self._drop(place)

    def rename(self, number: int, new: int) -> None:
        """Give an object another number. If there is an object of this number, the two become one from the next frame
        on: its probability is the sum of theirs. They stay separate in memory until an annotation shows the object.

        Raises ValueError for an unknown object, and for a new number that is not from 1 to 254.
        """
        self._places(number)
        self.table.rename(number, new)

    def save(self, path: str | Path) -> None:
        """Write the state of this segmenter within its video, with its bank, to a file. The write is atomic."""
        save_file(path, self.state())

    def load(self, path: str | Path) -> None:
        """Resume from the saved state of a segmenter with the same options: the masks are the same to the bit.

        Raises CheckpointError for a damaged file, and for the state of a segmenter with other options.
        """
        self.restore(read_file(path), path)

    def state(self) -> dict[str, Any]:
        """What `save` writes: tensors and plain values that share nothing with this segmenter."""
        own = {"frame_index": self.frame_index, "last_write": self.last_write, "_known": list(self.table.parts),
               "_size": self._size}
        return {"segmenter": own, "made": self._made(), "memory": self.memory.state()}

    def restore(self, state: dict[str, Any], source: str | Path = "state") -> None:
        """Resume from a `state()`, as `load` does. source: what errors call it."""
        if state.keys() != {"segmenter", "made", "memory"}:
            raise CheckpointError(f"{source}: expected a saved segmenter, found {sorted(map(str, state))[:3]}")
        if state["made"] != self._made():
            raise CheckpointError(f"{source}: expected a segmenter made with {self._made()}, found {state['made']}")
        try:
            self.memory.restore(state["memory"], self.device)
        except MemoryConfigError as error:
            raise CheckpointError(f"{source}: {error}; build the memory with the same options") from None
        own = state["segmenter"]
        self.frame_index, self.last_write, self._size = own["frame_index"], own["last_write"], own["_size"]
        self.table = ObjectTable(own["_known"])

    def _made(self) -> dict[str, Any]:
        return {"memory_every": self.memory_every, "dtype": str(self.dtype), "decode": self.decode}

    @property
    def objects(self) -> list[int]:
        """The caller's object numbers seen so far, ascending: the order of `step`'s probabilities."""
        return self.table.objects

    @torch.inference_mode()
    @in_own_precision
    def encode(self, frame: np.ndarray) -> Encoded:
        """The part of `step` that depends on the frame [H, W, 3] alone: equal in all segmenters of one network."""
        return self.encoder.encode(frame)

    @torch.inference_mode()
    @in_own_precision
    def step(self, frame: np.ndarray, annotation: np.ndarray | None = None) -> Tensor:
        """Segment the next frame.

        Args:
            frame: [H, W, 3] uint8 RGB, every frame of one size.
            annotation: [H, W] integer label map, or None. Its objects' regions win over predictions; a known
            object that it repeats is replaced. A map of zeros counts as None.
        Returns [1 + objects, H, W] float32 probabilities (float64 with fp64) on the network's device, background first,
        then `self.objects`. Before the first annotation: background alone.
        """
        size = self._size = checked_frame(frame, self._size, self.frame_index, self.frame_dtype)
        given = {} if annotation is None else self._given_masks(annotation, size)
        self._shown = self.objects
        if not self._shown and not given:
            self.frame_index += 1
            return torch.ones(1, *size, dtype=self.encoder.mask_dtype, device=self.device)
        encoded = self.encode(frame)
        probabilities = self._predict(encoded)
        if given:
            probabilities = self.table.annotate(self._joined(probabilities, given), given)
            self._shown = self.objects
        self._key = encoded.features.key[0]
        self._memorize(encoded, probabilities, size, annotated=bool(given))
        self.frame_index += 1
        return unpad(self.table.ascending(probabilities), size)

    def labels(self, probabilities: Tensor) -> np.ndarray:
        """Most likely object of each pixel: [1 + objects, H, W] -> [H, W] uint8 in the caller's own numbers."""
        return self.download(probabilities).result()

    def download(self, probabilities: Tensor) -> Download:
        """`labels` on their way from a GPU: the host can do something else until it asks for the result."""
        numbers = np.array([0, *self._shown], np.uint8)
        best = probabilities.max(0).indices            # argmax, 50 times as fast on a CPU
        return Download(best.to(torch.uint8), numbers)

    def quality(self, probabilities: Tensor) -> Quality:
        """How good the masks of a `step` look: [1 + objects, H, W] -> per object, in the order of `objects`."""
        return mask_quality(probabilities)

    @property
    def key(self) -> Tensor | None:
        """[C_k, h, w], the key of the last frame; None before the first annotation."""
        return self._key

    @property
    def mean_key(self) -> Tensor | None:
        """[C_k] float32, the key of the last frame, mean over its cells; None before the first annotation."""
        return None if self._key is None else self._key.mean((1, 2), dtype=torch.float32)

    def _given_masks(self, annotation: np.ndarray, size: tuple[int, int]) -> dict[int, Tensor]:
        """The annotation's object numbers, ascending, and their padded masks, [H', W'] bool."""
        annotation = checked_annotation(annotation, size, self.frame_index)
        numbers = [number for number in labels_in(annotation) if number > 0]
        if self.memory.frozen and not set(numbers) <= set(self.objects):
            raise ValueError(f"frame {self.frame_index}: expected objects that the frozen bank knows, {self.objects}, "
                             f"found {numbers}; freeze(False) lets it learn new ones")
        labels = pad(upload(annotation, self.device), padding(size))
        return {number: labels == number for number in numbers}

    def _places(self, number: int) -> list[int]:
        """Where an object is in the table. Raises ValueError if it is unknown."""
        try:
            return self.table.places(number)
        except ValueError as error:
            raise ValueError(f"frame {self.frame_index}: {error}") from None

    def _drop(self, place: int) -> None:
        self.memory.forget(place)
        del self.table.parts[place]

    def _joined(self, predicted: Tensor, given: dict[int, Tensor]) -> Tensor:
        """A prediction in which every annotated object has one part: the bank forgets the others unless frozen."""
        surplus = [] if self.memory.frozen else self.table.surplus(given)
        if not surplus:
            return predicted
        for place in reversed(surplus):
            self._drop(place)
        return torch.stack([plane for place, plane in enumerate(predicted, -1) if place not in surplus])

    def _predict(self, encoded: Encoded) -> Tensor:
        """Read the bank and decode -> [1 + parts, H', W'] in order of appearance; background if none is known."""
        if not self.table.parts:
            return torch.ones(1, *encoded.image.shape[2:], dtype=self.encoder.mask_dtype, device=self.device)
        found = self.memory.find(encoded.features.key[0], self.frame_index)
        logits = self.decoding.logits(found, encoded.features)
        return aggregate(logits.sigmoid(), dim=0).softmax(0)

    def _memorize(self, encoded: Encoded, probabilities: Tensor, size: tuple[int, int], annotated: bool) -> None:
        """Write the frame to memory if the bank wants it. probabilities: [1 + objects, H', W']."""
        due = self.last_write is None or self.frame_index - self.last_write >= self.memory_every
        key, masks = encoded.features.key[0], probabilities[1:]
        quality = frame_quality(unpad(probabilities, size)) if self.memory.wants_quality else None
        admission = self.memory.admit(key, due, annotated, quality)
        if admission is Admission.SKIP:
            return
        values = self.decoding.encode_value(encoded.image, encoded.features, masks)
        self.memory.write(key, values, self.frame_index, admission, owners(masks))
        if admission is Admission.STORE:
            self.last_write = self.frame_index
