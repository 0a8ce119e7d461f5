"""Export a network to ONNX Runtime, OpenVINO, TorchScript or torch.export, and check it against PyTorch.

    python scripts/export.py --weights compact --size 480 864 --to onnx --output runs/onnx
    python scripts/export.py --weights stcn.pth --size 480 854 --to openvino --video cat.mp4 --output runs/openvino
    python scripts/export.py --weights compact --size 480 864 --to onnx --int8 DAVIS --output runs/int8
    python eval_davis.py --davis-root DAVIS --year 2016 --weights runs/onnx --output runs/lfu2

Writes three graphs (key, value, segment) for frames of one size and any number of objects, README.md with their
tensors, parity.json with how closely they agree with PyTorch on the first frames of --video (or of a generated clip),
and export.json, by which every command and load_network recognize the folder. --size is height and width; the graphs
take frames whose sides, rounded up to multiples of 16, are the same. onnx and openvino need the packages of
requirements-export.txt.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tqdm import tqdm

from dataset.davis import davis_sequences
from dataset.folder import FolderSequence
from inference.commands import command
from inference.errors import RunError
from inference.export.calibration import recorded_calls
from inference.export.clip import clip_of
from inference.export.parity import compare
from inference.export.readme import write_readme
from inference.options import Options, option
from model.checkpoint import load_network, weights_digest
from model.errors import ConfigError
from model.exported.int8 import quantize
from model.exported.manifest import Kind
from model.exported.network import ExportedNetwork
from model.exported.packages import need_all
from model.exported.writing import new_export, write_graphs
from scripts.arguments import CommandParser


@dataclass(frozen=True)
class ExportOptions(Options):
    """What is exported, and where it goes."""

    weights: Path = option(
        help="network: own or published STCN layout, or compact, which comes with the repository", metavar="FILE")
    to: Kind = option(help="format: onnx and openvino are faster on many CPUs; torchscript and pt2 (torch.export) need "
                           "PyTorch alone")
    output: Path = option(help="new folder", metavar="DIR")
    size: tuple[int, ...] = option((480, 864), "height and width of the frames", metavar="PIXELS", minimum=32)
    video: Path | None = option(
        None, "compare with PyTorch on this video or folder of images (default: a generated clip)", metavar="PATH")
    frames: int = option(6, "frames that are compared, once with one object and once with three", metavar="N",
                         minimum=1)
    int8: Path | None = option(
        None, "onnx: decoder and value encoder in 8-bit integers, faster and slightly less exact; their ranges are "
              "those seen on training sequences in this folder of DAVIS", metavar="DAVIS")
    int8_sequences: tuple[str, ...] = option(
        ("boat", "car-turn", "horsejump-low", "dance-jump"), "the sequences for --int8", metavar="NAME")
    overwrite: bool = option(False, "replace an exported network in OUTPUT")

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.size) != 2:
            raise ConfigError(f"--size: expected two numbers, height and width, found {len(self.size)}")
        if self.int8 is not None and self.to != "onnx":
            raise ConfigError(f"--int8: expected --to onnx, found --to {self.to}; omit one of them")

    def calibration(self) -> list[FolderSequence]:
        """The sequences for --int8. Raises DatasetError."""
        if self.int8 is None:
            return []
        year = 2016 if (self.int8 / "ImageSets/2016").is_dir() else 2017
        return davis_sequences(self.int8, year, "train", names=self.int8_sequences)


@command(again="nothing is left of the export; run the same command again")
def main(arguments: list[str] | None = None) -> None:
    given = parser().parse(arguments)[ExportOptions]
    need_all(given.to, writing=True)
    size = (given.size[0], given.size[1])
    sequences = given.calibration()
    frames, labels, source = clip_of(given.video, size, given.frames)
    network = load_network(given.weights)
    if isinstance(network, ExportedNetwork):
        raise ConfigError(f"{given.weights}: expected weights, found an exported network; give the weights that it was "
                          f"made of, {network.manifest.weights}")
    if sequences and "group" in (network.config.norm, network.config.block_norm):
        raise ConfigError(f"--int8: expected a network without group norms, found some in {given.weights}; omit --int8")
    weights = (given.weights.name, weights_digest(given.weights))
    steps = 3 + 2 * len(frames) + (len(sequences) + 2 if sequences else 0)
    with new_export(given.output, given.overwrite) as folder, tqdm(
        total=steps, desc=f"export to {given.to}", unit="step", dynamic_ncols=True
    ) as progress:
        def done(what: str) -> None:
            progress.set_postfix_str(what)
            progress.update()

        manifest = write_graphs(network, given.to, size, weights, folder, done)
        if sequences:
            manifest = quantize(folder, manifest, recorded_calls(ExportedNetwork(folder), sequences, done), done)
        parity = compare(network, ExportedNetwork(folder), frames, labels, source, done)
        if parity.error > parity.tolerance:
            worst = max(parity.tensors, key=lambda tensor: tensor.error)
            raise RunError(f"{given.output}: expected the graphs within {parity.tolerance:g} of PyTorch, found "
                           f"'{worst.name}' off by {worst.error:.1e}; nothing is written: use another --to, or other "
                           "versions")
        write_readme(folder, manifest, parity)
    share = min(parity.same_labels.values())
    kind = f"{given.to}, int8" if manifest.int8 else given.to
    print(f"{given.output}: {kind}, largest error {parity.error:.1e} of a tensor's range, the same labels on "
          f"{share:.3%} of pixels ({source})")


def parser() -> CommandParser:
    parser = CommandParser(description=__doc__)
    parser.add_options(ExportOptions)
    return parser


if __name__ == "__main__":
    main()
