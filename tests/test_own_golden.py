"""Every machine repeats the masks stored in `tests/golden` (`tests/own_golden.py`), in float64 and in float32.

Tolerances: rounding differs between processors, numbers of threads and versions of libraries, and may swap entries at
the edge of a top-k. In float64 that does not happen; the generated clip itself may differ by a gray value here and
there.
"""

import numpy as np
import pytest

from tests.own_golden import BANKS, CLIP, FOLDER, propagate


@pytest.mark.parametrize(("bank", "precision"), [
    ("lfu", "fp64"), ("lfu", "fp32"), ("every_k", "fp32"), pytest.param("every_k", "fp64", marks=pytest.mark.slow),
])
def test_the_masks_are_those_stored(bank, precision, one_thread):
    golden, found = np.load(FOLDER / f"compact_{bank}.npz"), propagate(bank, precision)
    np.testing.assert_allclose(found["colors"], golden["colors"], atol=0.05, err_msg="the generated clip differs")
    equal = (found["labels"] == golden["labels"]).mean((1, 2))
    assert equal.mean() >= 0.999, equal
    assert equal.min() >= 0.99, equal
    np.testing.assert_allclose(found["areas"], golden["areas"], atol=2e-4)
    assert (found["held"] == golden["held"]).all()
    assert (found["written"] == golden["written"]).mean() >= 0.95


@pytest.mark.parametrize("bank", BANKS)
def test_the_stored_masks_show_what_a_bank_must_do(bank):
    """They would not notice an error if they were empty, copies of the first mask, or the same for both banks."""
    golden, other = (np.load(FOLDER / f"compact_{name}.npz") for name in (bank, *(BANKS.keys() - {bank})))
    truth = np.stack([labels for _, labels in CLIP])
    assert set(np.unique(golden["labels"][:5])) == {0, 1, 2}
    assert set(np.unique(golden["labels"][-1])) == {0, 1, 2, 3}
    assert (golden["labels"] == truth).mean() > 0.9
    assert (golden["labels"][-1] != golden["labels"][5]).mean() > 0.02
    assert golden["held"].max() == (2 if bank == "lfu" else 8)
    assert (golden["labels"] != other["labels"]).any()


def test_the_files_are_small():
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 30_000
