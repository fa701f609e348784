#!/usr/bin/python3 -IS
"""A server for stock batchspawner that starts in no time: it reports its port as batchspawner-singleuser does.

Run in the place of ``batchspawner-singleuser``, whose arguments it ignores. Like that, it reports once, does not
look at the answer, and ends when there is no hub; but it has bound its port before. ``GET`` answers with the job's
id. Files in ``orders/<person>`` beside it say what goes wrong: ``hold`` and ``eat``, as for ../stub_server.py.
"""

import http.server
import json
import os
import socket
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

ORDERS = Path(__file__).parents[2] / "orders" / os.environ["USER"]


class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET
    daemon_threads = True
    request_queue_size = 64


class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        text = os.environ["SLURM_JOB_ID"].encode()
        self.send_response(200)
        self.send_header("X-JupyterHub-Version", "6.1.1")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


def report(port):
    headers = {
        "Authorization": f"token {os.environ['JUPYTERHUB_API_TOKEN']}",
        "Content-Type": "application/json",
    }
    url = os.environ["JUPYTERHUB_API_URL"] + "/batchspawner"
    request = urllib.request.Request(url, json.dumps({"port": port}).encode(), headers)
    try:
        urllib.request.urlopen(request, timeout=30).close()
    except urllib.error.HTTPError as error:
        print("The hub answered the report with", error.code, flush=True)


def eat():
    eaten = []
    while True:
        eaten.append(b"x" * 10_000_000)


def main():
    server = Server(("0.0.0.0", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    while (ORDERS / "hold").exists():
        time.sleep(0.05)
    report(server.server_port)
    while not (ORDERS / "eat").exists():
        time.sleep(0.2)
    eat()


if __name__ == "__main__":
    main()
