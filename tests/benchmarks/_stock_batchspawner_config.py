"""JupyterHub with stock batchspawner, as spawn.py compares with: its defaults wherever they can work on the cluster.

Run as root by the same harness as Shopfloor's hub, from the same virtualenv, with the proxy beside it; the ``BENCH_``
variables are this cluster's addresses. What is set differs from the defaults only for the reason at its line.
"""

import os

import batchspawner  # noqa: F401 - registers the route to which a starting server reports its port

c = get_config()  # noqa: F821 - JupyterHub defines it
prefix = os.environ["BENCH_PREFIX"]
nodes = dict(pair.split("=") for pair in os.environ["BENCH_NODES"].split(","))

c.JupyterHub.bind_url = f"http://127.0.0.1:{os.environ['BENCH_PORT']}"
c.JupyterHub.hub_ip = os.environ["BENCH_HUB_ADDRESS"]
c.JupyterHub.hub_port = int(os.environ["BENCH_HUB_PORT"])
# The proxy is a process of its own, as it is for Shopfloor's hub; its token is in the environment.
c.ConfigurableHTTPProxy.should_start = False
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{os.environ['BENCH_PROXY_API_PORT']}"
# Nobody logs in: the benchmark acts through the API.
c.JupyterHub.authenticator_class = "null"
c.JupyterHub.allow_named_servers = True
load_subconfig("jupyterhub_config.d/tests.py")  # noqa: F821 - the benchmark's own token

# SlurmSpawner, with the one thing it lacks here: this machine cannot resolve the nodes' names.
c.JupyterHub.spawner_class = "batchspawner.MultiSlurmSpawner"
c.MultiSlurmSpawner.daemon_resolver = nodes
# Its defaults, written out: what is run as the person, and how often Slurm is asked during a start (seconds).
c.SlurmSpawner.exec_prefix = "sudo -E -u {username}"
c.SlurmSpawner.startup_poll_interval = 0.5
# Slurm's commands must find this cluster, and a job's PATH is what sudo left of ours.
c.Spawner.environment = {"SLURM_CONF": os.environ["SLURM_CONF"]}
c.SlurmSpawner.batchspawner_singleuser_cmd = f"{prefix}/bin/batchspawner-singleuser"
c.Spawner.cmd = [f"{prefix}/bin/jupyterhub-singleuser"]
# The stock port report comes before the server starts; in a burst that takes longer than the default 30 s.
c.Spawner.http_timeout = 180
c.SlurmSpawner.start_timeout = 300

# The request; the partition comes with the options of each start.
c.SlurmSpawner.req_nprocs = os.environ["BENCH_CPUS"]
c.SlurmSpawner.req_memory = os.environ["BENCH_MEMORY"]
c.SlurmSpawner.req_runtime = os.environ["BENCH_MINUTES"]
