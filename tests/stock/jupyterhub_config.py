"""JupyterHub with stock batchspawner on the test cluster: its defaults wherever they can work there; hub.py runs it.

It runs as root, by the same harness and from the same virtualenv as Shopfloor's hub; the ``STOCK_`` variables are
this cluster's addresses and the request. What is set differs from the defaults only for the reason at its line;
benchmark and fault rows add what they need in jupyterhub_config.d.
"""

import os

import batchspawner  # noqa: F401 - registers the route to which a starting server reports its port

c = get_config()  # noqa: F821 - JupyterHub defines it
prefix = os.environ["STOCK_PREFIX"]
nodes = dict(pair.split("=") for pair in os.environ["STOCK_NODES"].split(","))

c.JupyterHub.bind_url = f"http://127.0.0.1:{os.environ['STOCK_PORT']}"
c.JupyterHub.hub_ip = os.environ["STOCK_HUB_ADDRESS"]
c.JupyterHub.hub_port = int(os.environ["STOCK_HUB_PORT"])
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{os.environ['STOCK_PROXY_API_PORT']}"
# The proxy itself: the virtualenv's own command is a wrapper, whose signals never reach it.
c.ConfigurableHTTPProxy.command = os.environ["STOCK_PROXY"].split(":")
# Since JupyterHub 5 nobody may come in unless it is said.
c.Authenticator.allow_all = True
c.JupyterHub.allow_named_servers = True

# SlurmSpawner, with the one thing it lacks here: this machine cannot resolve the nodes' names.
c.JupyterHub.spawner_class = "batchspawner.MultiSlurmSpawner"
c.MultiSlurmSpawner.daemon_resolver = nodes
# Its defaults, written out: what is run as the person, how often Slurm is asked during a start, and how long queue
# and start may take together (seconds).
c.SlurmSpawner.exec_prefix = "sudo -E -u {username}"
c.SlurmSpawner.startup_poll_interval = 0.5
c.SlurmSpawner.start_timeout = 300
# Slurm's commands must find this cluster, and a job's PATH is what sudo left of ours.
c.Spawner.environment = {"SLURM_CONF": os.environ["SLURM_CONF"]}
c.SlurmSpawner.batchspawner_singleuser_cmd = f"{prefix}/bin/batchspawner-singleuser"
c.Spawner.cmd = [f"{prefix}/bin/jupyterhub-singleuser"]

# The request; what is to be otherwise comes with the options of a start.
c.SlurmSpawner.req_partition = "cpu"
c.SlurmSpawner.req_nprocs = os.environ["STOCK_CPUS"]
c.SlurmSpawner.req_memory = os.environ["STOCK_MEMORY"]
c.SlurmSpawner.req_runtime = os.environ["STOCK_MINUTES"]

load_subconfig("jupyterhub_config.d/tests.py")  # noqa: F821 - the tests' own token, and what they add
