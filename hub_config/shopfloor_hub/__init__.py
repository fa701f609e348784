"""The hub's side: the site file, the offers made from it, JupyterHub's settings, and the `shopfloor` command."""
