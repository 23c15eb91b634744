"""What makes a world of a screen and a keyboard: bindings, and the emitter's process."""
