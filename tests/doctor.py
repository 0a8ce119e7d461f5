"""What the tests of the data doctor share: miniature data sets, faults, and findings by kind."""

from collections import Counter
from pathlib import Path

import numpy as np

from dataset.synthetic import make_davis, make_static, make_youtube

SIZE = (48, 64)


def make_miniature(root: Path) -> Path:
    make_static(root / "static", images=4, size=SIZE, progress=False)
    make_davis(root / "DAVIS", {"train": 2, "val": 1}, frames=5, size=SIZE, progress=False)
    make_youtube(root / "YouTube", {"train": 2, "valid": 1}, frames=11, size=SIZE, progress=False)
    return root


def kinds(report, *severities):
    """kind -> number of findings of these severities (default: errors and warnings)."""
    severities = severities or ("error", "warning")
    return Counter(finding.kind for finding in report.findings if finding.severity in severities)


def mask_of(value=1):
    labels = np.zeros(SIZE, np.uint8)
    labels[10:30, 10:40] = value
    return labels


def truncate(path):
    content = path.read_bytes()
    path.write_bytes(content[:len(content) * 2 // 3])


def smooth():
    ramp = np.clip(np.arange(SIZE[1]) * 40 - 1000, 0, 255).astype(np.uint8)
    return np.tile(ramp, (SIZE[0], 1))
