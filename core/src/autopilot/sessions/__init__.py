"""Recordings on disk: rows, laps, review, index and cache; the home's folders and safe names."""
