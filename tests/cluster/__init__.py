"""A real Slurm on this machine, for `make cluster`, demos and every test that needs a scheduler."""
