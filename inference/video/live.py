"""A window that shows results as they are made."""

import os
import sys

import cv2
import numpy as np

from dataset.masks import overlay
from model import ConfigError

_KEYS = (ord("q"), 27)      # q and Escape close the window


class LiveView:
    """Opens the window. Raises ConfigError if there is no display, or if OpenCV was built without windows."""

    def __init__(self, title: str) -> None:
        self.title = title
        if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            raise ConfigError("--show: expected a display, found none (DISPLAY is not set); leave --show out and look "
                              "at OUTPUT/overlay.mp4")
        try:
            cv2.namedWindow(title, cv2.WINDOW_NORMAL)
        except cv2.error:
            raise ConfigError("--show: expected an OpenCV with windows, found one without (opencv-python-headless); "
                              "install opencv-python in its place, or leave --show out") from None

    def show(self, image: np.ndarray, labels: np.ndarray) -> bool:
        """Show a frame [H, W, 3] RGB with its label map [H, W]; False once the user has closed the window."""
        cv2.imshow(self.title, cv2.cvtColor(overlay(image, labels), cv2.COLOR_RGB2BGR))
        pressed = cv2.waitKey(1) & 0xFF
        return pressed not in _KEYS and cv2.getWindowProperty(self.title, cv2.WND_PROP_VISIBLE) >= 1
