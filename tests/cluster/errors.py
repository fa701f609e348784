"""The one error that the modules of this folder raise for something a person can mend."""


class ClusterError(Exception):
    """Why the cluster cannot start or stop, as a sentence for the person at the terminal."""
