"""Where samples and blocks lie: pure arithmetic of bitmask, HZ order and bricks."""
