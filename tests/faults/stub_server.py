#!/usr/bin/python3 -IS
"""A server that starts in no time: it binds, really arrives and answers, but there is no Lab in it.

Run as ``bin/shopfloor-singleuser`` of the environment ``stub``, so that a hundred fit on this machine. Files
in ``orders/<person>`` beside it say what goes wrong: ``hold`` (it does not report while the file is there),
``mute`` (it reports, and answers nobody while the file is there) and ``eat`` (it takes memory without end).
``GET`` answers with the job's tag.
"""

import http.server
import json
import os
import socket
import ssl
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

FINAL = (400, 403, 409, 413)
ORDERS = Path(__file__).parents[2] / "orders" / os.environ["USER"]


class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET
    daemon_threads = True
    request_queue_size = 64


class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        while (ORDERS / "mute").exists():
            time.sleep(0.05)
        text = os.environ["SHOPFLOOR_TAG"].encode()
        self.send_response(200)
        self.send_header("X-JupyterHub-Version", "6.1.1")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


def contexts():
    """For who comes to us and for whom we go to; both None where nothing is encrypted."""
    own = os.environ.get("JUPYTERHUB_SSL_CERTFILE"), os.environ.get("JUPYTERHUB_SSL_KEYFILE")
    made = []
    for protocol in (ssl.PROTOCOL_TLS_SERVER, ssl.PROTOCOL_TLS_CLIENT):
        context = ssl.SSLContext(protocol) if all(own) else None
        if context:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_cert_chain(*own)
            context.load_verify_locations(os.environ["JUPYTERHUB_SSL_CLIENT_CA"])
        made.append(context)
    return made


def report(port, context):
    """Tell the hub our port until it answers for good; False when it does not want us."""
    body = json.dumps({"port": port, "nonce": os.environ["SHOPFLOOR_NONCE"]}).encode()
    headers = {
        "Authorization": f"token {os.environ['JUPYTERHUB_API_TOKEN']}",
        "Content-Type": "application/json",
    }
    while True:
        url = os.environ["SHOPFLOOR_ARRIVAL_URL"]
        request = urllib.request.Request(url, body, headers, method="POST")
        try:
            urllib.request.urlopen(request, timeout=10, context=context).close()
        except urllib.error.HTTPError as error:
            print("The hub answered the report with", error.code, flush=True)
            if error.code in FINAL:
                return False
        except OSError as error:
            print("The hub did not take the report:", error, flush=True)
        else:
            return True
        time.sleep(0.3)


def eat():
    eaten = []
    while True:
        eaten.append(b"x" * 10_000_000)


def main():
    to_us, from_us = contexts()
    server = Server(("0.0.0.0", 0), Answer)
    if to_us:
        server.socket = to_us.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    while (ORDERS / "hold").exists():
        time.sleep(0.05)
    if not report(server.server_port, from_us):
        sys.exit(1)
    print("The hub knows that this server listens", flush=True)
    while not (ORDERS / "eat").exists():
        time.sleep(0.2)
    eat()


if __name__ == "__main__":
    main()
