"""Kernels as jobs: an agent on the node runs the kernel, and the Lab server reaches both through it.

provisioner.py is what jupyter_client calls, agent.py the command of the job; order.py is what they hand each other.
"""
