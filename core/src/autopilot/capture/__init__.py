"""Frame sources that core itself offers: a region of the screen, a video file or camera."""
