"""J and F of masks, and the scores of DAVIS and YouTube-VOS."""
