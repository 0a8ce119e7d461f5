"""A tiny training stage for tests, its weights and its curves."""

import yaml

import train
from dataset.synthetic import make_davis, make_static
from model.checkpoint import read_weights

NETWORK = {
    "key_backbone": "efficientnet_lite0", "value_backbone": "efficientnet_lite0", "key_dim": 8, "value_dim": 16,
    "decoder_dims": [16, 8, 8], "norm": "group", "block_norm": "group",
}


def write_tiny_stage(root):
    """A YAML of a tiny stage over miniature data, written below `root`."""
    make_static(root / "static", images=4, size=(48, 64), progress=False)
    make_davis(root / "DAVIS", sequences={"train": 2, "val": 1}, frames=8, size=(48, 64), progress=False)
    sources = [
        {"layout": "pairs", "root": str(root / "static")}, {"layout": "davis2017", "root": str(root / "DAVIS")}
    ]
    path = root / "tiny.yaml"
    path.write_text(yaml.safe_dump({
        "network": NETWORK, "data": {"crop": 48, "sources": sources},
        "training": {"iterations": 6, "batch_size": 2, "lr": 1.0e-3, "workers": 0, "save_every": 3, "log_every": 2,
                     "pretrained": False, "precision": "fp32"},
        "objective": {"bootstrap_start": 2, "bootstrap_span": 3, "regularizer": "dropout"},
    }))
    return path


def train_stage(config, output, *more):
    """Train to the end; returns the final weights."""
    train.main(["--config", str(config), "--output", str(output), "--device", "cpu", *more])
    return read_weights(output / "network.pth")[1]


def scalars(output, prefix):
    """name -> values of TensorBoard's curves whose names begin with `prefix`."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(output / "log"))
    events.Reload()
    return {
        name.removeprefix(prefix): [event.value for event in events.Scalars(name)]
        for name in events.Tags()["scalars"] if name.startswith(prefix)
    }
