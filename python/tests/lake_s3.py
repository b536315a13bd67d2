"""An S3 store by moto, proxies in front of it, and what a log has: what the tests of a lake in S3 share."""

import contextlib
import http.client
import os
import random
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import lake_world

SECRET = "wJalrXUtnFEMI+K7MDENG+bPxRfiCYSILTSTONE"  # no real one
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "AKIASILTSTONE", "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": "us-east-1"}
#: Headers that are of one connection and not of what is sent over it.
OWN_HEADERS = {"connection", "keep-alive", "transfer-encoding", "content-length", "expect"}


def environment(port: int) -> dict:
    return CREDENTIALS | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "AWS_ALLOW_HTTP": "true"}


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


#: One request at a time: with several threads moto looks and then writes, so that two of one name can win.
SERVER = """
import sys
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple
run_simple("127.0.0.1", int(sys.argv[1]), DomainDispatcherApplication(create_backend_app))
"""


@contextlib.contextmanager
def moto():
    """A server of its own process; gives its port."""
    port = free_port()
    log = subprocess.DEVNULL
    process = subprocess.Popen([sys.executable, "-c", SERVER, str(port)], stdout=log, stderr=log)
    try:
        for _ in range(600):
            with contextlib.suppress(OSError):
                request(port, "GET", "/moto-api/")
                break
            assert process.poll() is None, "moto's server did not start"
            time.sleep(0.05)
        yield port
    finally:
        process.kill()
        process.wait()


def request(port: int, method: str, path: str, body: bytes = b"", headers=()) -> tuple[int, list, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        if all(name.lower() != "host" for name, _ in headers):
            connection.putheader("Host", f"127.0.0.1:{port}")
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        return answer.status, answer.getheaders(), answer.read()
    finally:
        connection.close()


class Proxy:
    """Stands in front of a store; `handle` says what becomes of a request."""

    def __init__(self, port: int):
        self.behind = port
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                kept = [(n, v) for n, v in self.headers.items() if n.lower() not in OWN_HEADERS]
                proxy.handle(self, body, kept)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_):  # a client that went away
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def forward(self, client, body, headers):
        return request(self.behind, client.command, client.path, body, headers)

    def answer(self, client, status, headers, body, share=1.0):
        client.send_response_only(status)
        length = str(len(body))
        for name, value in headers:
            if name.lower() == "content-length":
                length = value  # of a HEAD: what the object has
            elif name.lower() not in OWN_HEADERS:
                client.send_header(name, value)
        client.send_header("Content-Length", length)
        client.end_headers()
        if client.command != "HEAD":
            client.wfile.write(body[: int(len(body) * share)])
        if share < 1:
            self.drop(client)

    @staticmethod
    def drop(client):
        client.close_connection = True
        client.wfile.flush()
        with contextlib.suppress(OSError):
            client.connection.shutdown(socket.SHUT_RDWR)

    def handle(self, client, body, headers):
        self.answer(client, *self.forward(client, body, headers))

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class WithoutCondition(Proxy):
    """A store that ignores put-if-absent."""

    def handle(self, client, body, headers):
        kept = [(name, value) for name, value in headers if name.lower() != "if-none-match"]
        self.answer(client, *self.forward(client, body, kept))


class Chaos(Proxy):
    """A network that loses, delays, repeats and cuts; what it does is drawn from a seed."""

    def __init__(self, port: int, seed: int, share: float):
        self.random, self.share, self.seen = random.Random(seed), share, {}
        super().__init__(port)

    def handle(self, client, body, headers):
        kinds = ["lost before", "lost after", "late", "twice", "cut", "busy before", "busy after"]
        kind = self.random.choice(kinds) if self.random.random() < self.share else "well"
        self.seen[kind] = self.seen.get(kind, 0) + 1
        busy = (503, [("Content-Type", "application/xml")], b"<Error><Code>SlowDown</Code></Error>")
        if kind == "lost before":
            return self.drop(client)
        if kind == "busy before":
            return self.answer(client, *busy)
        if kind == "late":
            time.sleep(self.random.random() / 4)
        if kind == "twice":
            self.forward(client, body, headers)
        answer = self.forward(client, body, headers)
        if kind == "lost after":
            return self.drop(client)
        if kind == "busy after":
            return self.answer(client, *busy)
        return self.answer(client, *answer, share=0.5 if kind == "cut" else 1.0)


class Always(Proxy):
    """A store that has one answer."""

    def __init__(self, status: int, body: bytes):
        self.said = (status, [("Content-Type", "application/xml")], body)
        super().__init__(0)

    def handle(self, client, body, headers):
        self.answer(client, *self.said)


class Bucket:
    """Reads objects past every proxy and past our own code."""

    def __init__(self, port: int, name: str):
        keys = {"aws_access_key_id": "AKIASILTSTONE", "aws_secret_access_key": SECRET, "region_name": "us-east-1"}
        self.client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}", **keys)
        self.client.create_bucket(Bucket=name)
        self.name = name

    def names(self, prefix: str) -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix)
        return [found["Key"] for page in pages for found in page.get("Contents", [])]

    def get(self, name: str) -> bytes:
        return self.client.get_object(Bucket=self.name, Key=name)["Body"].read()

    def rows(self, table: str, column: str) -> list:
        """A column of a table, by its log alone."""
        log = [name for name in self.names(f"{table}/_delta_log/") if name.endswith(".json")]
        commits = {int(name[-25:-5]): self.get(name).decode() for name in log}
        return lake_world.rows(commits, lambda file: self.get(f"{table}/{file}"), column)


@contextlib.contextmanager
def using(values: dict):
    """The environment, for a while: the library asks it at each call."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
