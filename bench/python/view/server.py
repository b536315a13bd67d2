"""`silt view` in a process of its own, and questions to it over HTTP."""

import http.client
import subprocess
import time
from pathlib import Path
from urllib.parse import urlencode, urlsplit


class Server:
    """The server of a path; ends with its `with` block."""

    def __init__(self, silt: Path, path: Path):
        command = [silt, "view", path, "--no-browser"]
        began = time.perf_counter()
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.address = self.process.stdout.readline().strip()
        self.start_s = time.perf_counter() - began
        if not self.address:
            raise RuntimeError(f"{path}: `silt view` ended")
        parts = urlsplit(self.address)
        self.token = parts.fragment.removeprefix("token=")
        self.port = parts.port
        self.connection = http.client.HTTPConnection("127.0.0.1", parts.port, timeout=120)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()
        self.process.terminate()
        self.process.wait()

    def ask(self, route: str, headers=None, **parameters):
        """The answer of a route, its headers and the seconds that it took; a refusal ends the run."""
        query = f"?{urlencode(parameters, doseq=True)}" if parameters else ""
        began = time.perf_counter()
        given = {"Authorization": f"Bearer {self.token}"} | (headers or {})
        self.connection.request("GET", f"/api/{route}{query}", headers=given)
        answer = self.connection.getresponse()
        body = answer.read()
        took = time.perf_counter() - began
        if answer.status not in (200, 304):
            raise RuntimeError(f"{route}{query}: {answer.status} {body.decode()}")
        return body, answer.headers, took

    def at(self, page: str, **parameters) -> str:
        """The address of one of its pages."""
        query = f"?{urlencode(parameters, doseq=True)}" if parameters else ""
        return self.address.replace("/#", f"{page}{query}#")

    def memory_mb(self) -> float:
        """The memory that it holds now."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1e3 for line in lines if line.startswith("VmRSS"))

    def cpu_s(self) -> float:
        """The CPU time that it has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100
