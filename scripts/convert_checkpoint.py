"""Convert weights between our layout and the published STCN layout, both ways, exactly.

    python scripts/convert_checkpoint.py stcn.pth own.pth                      (to ours)
    python scripts/convert_checkpoint.py runs/video/network.pth stcn.pth --to published
    python scripts/convert_checkpoint.py runs/compact/video/network.pth weights/compact.pth --half

Only the published layout has biases in the value encoder's ResNet. They are folded into the batch norms that follow;
in the other direction they are written as zeros. `load_network` reads both layouts, so evaluation never needs a
conversion.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import argparse

from inference.commands import command
from model import ConfigError, load_network
from model.checkpoint import save_network
from model.published_layout import to_published
from model.storage import save_file
from scripts.arguments import CommandParser


@command()
def main(arguments: list[str] | None = None) -> None:
    options = parser().parse_args(arguments)
    if options.output.exists() and not options.overwrite:
        raise ConfigError(f"{options.output}: exists; give --overwrite to replace it")
    network = load_network(options.input, mask_channels=options.mask_channels)
    if options.to == "own":
        save_network(options.output, network, half=options.half)
    else:
        save_file(options.output, to_published(network, options.input))
    print(f"wrote {options.output} ({options.to} layout, {network.config.mask_channels} mask channels)")


def parser() -> argparse.ArgumentParser:
    parser = CommandParser(description=__doc__)
    parser.add_argument("input", type=Path, help="weights in either layout")
    parser.add_argument("output", type=Path, help="file to write")
    parser.add_argument("--to", choices=("own", "published"), default="own", help="layout to write (default: own)")
    parser.add_argument("--mask-channels", type=int, choices=(1, 2), help="2 widens a static-stage network by zeros")
    parser.add_argument("--half", action="store_true", help="own layout: kernels in half precision, half the size")
    parser.add_argument("--overwrite", action="store_true", help="replace the output file")
    return parser


if __name__ == "__main__":
    main()
