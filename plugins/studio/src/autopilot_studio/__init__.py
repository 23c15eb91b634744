"""A local web page over a home folder: sessions, policies, data, trainings and races."""
