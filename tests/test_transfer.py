"""Copies between host and GPU: they arrive complete, from the device that they were asked of."""

import numpy as np
import pytest
import torch

from inference.transfer import Download, upload
from tests.pretended_gpu import pretended_gpu

NUMBERS = np.array([0, 4, 2], np.uint8)


@pytest.mark.parametrize("device", ["cpu", "cuda:0", "cuda:1"])
def test_a_label_map_is_complete_when_it_is_collected(device):
    indices = torch.arange(12).remainder(3).to(torch.uint8).view(3, 4)
    with pretended_gpu() as gpu:
        download = Download(indices.to(device), NUMBERS)
        gpu.waits.clear()
        labels = download.result()
    np.testing.assert_array_equal(labels, NUMBERS[indices.numpy()])
    assert [wait.what for wait in gpu.waits] == ([] if device == "cpu" else ["event"])


@pytest.mark.parametrize("device", ["cpu", "cuda:1"])
def test_an_upload_is_a_copy_and_does_not_wait(device):
    array = np.arange(6, dtype=np.uint8).reshape(2, 3)[:, ::-1]
    with pretended_gpu() as gpu:
        uploaded = upload(array, torch.device(device))
        assert uploaded.device == torch.device(device)
        assert not gpu.waits
        np.testing.assert_array_equal(uploaded.cpu().numpy(), array)


@pytest.mark.parametrize("numbers", [[0], [0, 1, 2], [0, 2, 1], [0, 254, 7]])
def test_indices_become_the_callers_numbers(numbers):
    numbers = np.array(numbers, np.uint8)
    indices = torch.arange(20).remainder(len(numbers)).to(torch.uint8).view(4, 5)
    labels = Download(indices, numbers).result()
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, numbers[indices.numpy()])
    labels[0, 0] = 9                                       # the caller's own: it can be written to
