"""The JupyterHub side of jobs: the spawner on batchspawner's base, its options, and the hub's API for jobs."""

from shopfloor_jobs import __version__

__all__ = ["__version__"]
