"""Jobs: what is asked for, what may be asked, who runs it and what became of it; knows nothing of Jupyter."""

__version__ = "0.1.0"
