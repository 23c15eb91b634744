"""A drawn Crash Team Racing, the window it is played in, and who plays it."""
