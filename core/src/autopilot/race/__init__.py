"""Racing: each driver in turn on each track, and the table that compares them."""
