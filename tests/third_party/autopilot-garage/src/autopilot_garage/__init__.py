"""A zoo of somebody else."""
