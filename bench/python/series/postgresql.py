"""A PostgreSQL server of this bench's own: on a socket in a temporary folder, gone with it."""

import hashlib
import os
import pwd
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

ADDRESS = "SERIES_POSTGRESQL"  # the folder of the socket, for the processes of the phases
MISSING = "no PostgreSQL server is installed (initdb and postgres, Debian's package postgresql)"


def _program(name):
    """A program of the newest server that is installed."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda f: int(f.parts[4]))
    program = str(found[-1]) if found else shutil.which(name)
    if program is None:
        raise FileNotFoundError(MISSING)
    return program


def _owner():
    """Whose the server is: it refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    names = {entry.pw_name for entry in pwd.getpwall()}
    name = "postgres" if "postgres" in names else "nobody"
    return {"user": name, "group": pwd.getpwnam(name).pw_gid, "extra_groups": []}


@contextmanager
def server():
    """Run a server; give what the processes of the phases need in their environment, {} if there is none."""
    try:
        initdb, postgres = _program("initdb"), _program("pg_ctl")
    except FileNotFoundError:
        yield {}
        return
    folder, owner = Path(tempfile.mkdtemp(prefix="series-")), _owner()
    try:
        if owner:
            shutil.chown(folder, owner["user"], owner["group"])
        run = {"check": True, "stdout": subprocess.DEVNULL, "cwd": folder} | owner
        data = folder / "data"
        subprocess.run([initdb, "-D", data, "-U", "bench", "-A", "trust", "-E", "UTF8"], **run)
        options = f"-c listen_addresses= -c unix_socket_directories={folder}"
        start = [postgres, "-D", data, "-w", "-l", folder / "log", "-o", options, "start"]
        subprocess.run(start, **run)
        try:
            yield {ADDRESS: str(folder)}
        finally:
            subprocess.run([postgres, "-D", data, "-w", "-m", "immediate", "stop"], **run)
    finally:
        shutil.rmtree(folder)


def _at(database):
    return f"postgresql://bench@/{database}?host={quote(os.environ[ADDRESS], safe='/')}"


def _name(folder):
    return "s" + hashlib.sha256(str(folder).encode()).hexdigest()[:16]


def address(folder):
    """The address of the database that stands for a folder."""
    return _at(_name(folder))


def prepare(folder):
    """Make the database that stands for a folder."""
    command = ["psql", "-X", "-q", _at("postgres"), "-c", f"CREATE DATABASE {_name(folder)}"]
    subprocess.run(command, check=True)


def size_bytes(folder):
    """What the server's files of a database take."""
    sql = f"SELECT pg_database_size('{_name(folder)}') - pg_database_size('template1')"
    command = ["psql", "-X", "-q", "-A", "-t", _at("postgres"), "-c", sql]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def drop(folder):
    """Remove the database that stands for a folder."""
    sql = f"DROP DATABASE IF EXISTS {_name(folder)} WITH (FORCE)"
    command = ["psql", "-X", "-q", _at("postgres"), "-c", "SET client_min_messages = warning", "-c", sql]
    subprocess.run(command, check=True)


def cpu_seconds():
    """What the server and its ended children have used; 0 without a server, or without `/proc`."""
    try:
        pid = int((Path(os.environ[ADDRESS]) / "data" / "postmaster.pid").read_text().split()[0])
        total = 0
        for process in [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]:
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            total += sum(map(int, fields[11:15 if process == pid else 13]))
        return total / os.sysconf("SC_CLK_TCK")
    except (KeyError, OSError):
        return 0.0
