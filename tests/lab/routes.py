"""Every route of the server extension, as a question that may be asked; test_routes.py shows that none is missing."""

from __future__ import annotations

CLUSTER = "clusters/shopfloor-cluster-0123456789abcdef"
KERNEL = "job-kernels/4f0ae2a4-0000-4000-8000-0123456789ab"
ROUTES = [
    ("GET", "offer"),
    ("GET", "clusters"),
    ("GET", "clusters/events"),
    ("POST", "clusters"),
    ("PATCH", CLUSTER),
    ("DELETE", CLUSTER),
    ("GET", f"{CLUSTER}/cell"),
    ("GET", f"{CLUSTER}/plots"),
    ("POST", f"{CLUSTER}/plots"),
    ("GET", f"{CLUSTER}/share"),
    ("PUT", f"{CLUSTER}/share"),
    ("DELETE", f"{CLUSTER}/share"),
    ("GET", "shared"),
    ("GET", "shared/alice/shopfloor-cluster-0123456789abcdef"),
    ("GET", "kernels"),
    ("GET", "kernels/python3"),
    ("GET", "form"),
    ("POST", "form/outlook"),
    ("POST", "form/script"),
    ("PUT", "form/presets/mine"),
    ("DELETE", "form/presets/mine"),
    ("GET", "examples"),
    ("POST", "examples"),
    ("GET", "troubles"),
    ("GET", "session"),
    ("POST", "session/keep"),
    ("GET", "gpu-time"),
    ("GET", "job-kernels"),
    ("POST", "job-kernels"),
    ("GET", "job-kernels/form"),
    ("POST", "job-kernels/outlook"),
    ("GET", KERNEL),
    ("PATCH", KERNEL),
    ("DELETE", KERNEL),
    ("GET", f"{KERNEL}/runs"),
    ("DELETE", f"{KERNEL}/runs"),
]
# These two let in who holds a ticket that POST …/plots gave, and nobody else: Lab's sandbox sends no cookies.
TICKET = f"{CLUSTER}/plots/{32 * '0'}"
BY_TICKET = [("GET", f"{TICKET}/task-stream"), ("GET", f"{TICKET}/task-stream/ws")]
