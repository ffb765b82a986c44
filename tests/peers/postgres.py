"""A PostgreSQL server of Debian's package, without its service: a cluster of its own, on loopback, as an unprivileged user."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import uuid
from pathlib import Path

import psycopg

from .patience import HANGS
from .process import Process, find, free_port, missing

PLACES = (
    Path(__file__).parent / "postgresserver" / "root" / "usr/lib/postgresql",
    Path("/usr/lib/postgresql"),
)
NOBODY = 65534
PASSWORD = "not a secret"
PAGE = 4096


def programs():
    """The folder of PostgreSQL's own programs."""
    found = [each.parent for place in PLACES for each in sorted(place.glob("*/bin/postgres"))]
    if not found:
        missing("PostgreSQL isn't there; tests/install-peers large fetches it")
    return found[0]


class Postgres:
    """``port`` on 127.0.0.1; the superuser is ``iotgw``. Its files go with it. ``settings`` are lines of postgresql.conf. A standby is one that
    has a ``primary``. With ``disk``, its files are on a disk of so many bytes of its own, which can be filled; that needs root."""

    def __init__(self, *settings, primary=None, port=None, disk=0):
        self.folder = Path(tempfile.mkdtemp(prefix="iotgw-postgres-"))
        self.port = port or free_port()
        self.data = self.folder / "data"
        self._disk = disk
        if disk:
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={disk}", "tmpfs", self.folder], check=True)
        self._whose = []
        if os.getuid() == 0:  # PostgreSQL refuses to be root
            os.chown(self.folder, NOBODY, NOBODY)
            self._whose = [find("setpriv"), "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "--"]
        self._bin = programs()
        self._settings = settings
        self._primary = primary
        self.server = Process(
            [*self._whose, self._bin / "postgres", "-D", self.data], Path(f"{self.folder}.log"), cwd="/"
        )
        self.server.ready = self._accepts

    def _accepts(self):
        with contextlib.suppress(psycopg.OperationalError), self.connect("postgres"):
            return True
        return False

    def run(self, program, *args):
        """Run one of PostgreSQL's programs as the server's user."""
        command = [str(each) for each in (*self._whose, self._bin / program, *args)]
        env = {**os.environ, "PGPASSWORD": PASSWORD}
        return subprocess.run(command, check=True, capture_output=True, cwd="/", timeout=HANGS, env=env)

    def start(self):
        own = (f"port = {self.port}", f"unix_socket_directories = '{self.folder}'", *self._settings)
        if not self.data.exists() and self._primary is not None:
            self.run("pg_basebackup", "-D", self.data, "-h", "127.0.0.1", "-p", self._primary.port, "-U", "iotgw", "-R", "-X", "stream",
                     "-c", "fast")  # fmt: skip
            self.configure(*own)
        elif not self.data.exists():
            (self.folder / "password").write_text(PASSWORD)
            if os.getuid() == 0:
                os.chown(self.folder / "password", NOBODY, NOBODY)
            self.run("initdb", "-D", self.data, "-U", "iotgw", "-A", "scram-sha-256", "--pwfile",
                     self.folder / "password", "--no-sync", "-E", "UTF8", "--locale=C")  # fmt: skip
            self.configure("listen_addresses = '127.0.0.1'", "shared_buffers = 16MB", *own)
        self.server.start()
        return self

    def configure(self, *lines):
        """Add lines to postgresql.conf."""
        with (self.data / "postgresql.conf").open("a") as file:
            file.write("\n".join(lines) + "\n")

    def stop(self, how=signal.SIGINT):
        """End it: SIGINT ends all sessions, SIGQUIT is a crash."""
        if self.server.alive:
            self.server.child.send_signal(how)
            self.server.wait_for_end()

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.stop(signal.SIGQUIT)
        if self._disk:
            subprocess.run(["umount", "-l", self.folder], check=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        Path(f"{self.folder}.log").unlink(missing_ok=True)

    def fill_disk(self):
        """From now on there is no room."""
        step = self._disk
        with (self.folder / "ballast").open("wb") as file:
            while step >= PAGE:  # the server takes some meanwhile
                try:
                    os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), step)
                except OSError:
                    step //= 2

    def clear_disk(self):
        """There is room again. A server that has ended for want of it is started."""
        (self.folder / "ballast").unlink()
        if not self.server.alive:
            self.server.start()

    def promote(self):
        """Make a standby the primary."""
        with self.connect("postgres") as connection:
            assert connection.execute("SELECT pg_promote()").fetchone() == (True,)

    def wait_for_standbys(self):
        """From now on, each commit waits until a standby has it."""
        with self.connect("postgres") as connection:
            connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            connection.execute("SELECT pg_reload_conf()")

    # --- for tests ---

    def dsn(self, database, **more):
        """The URL of a database."""
        options = "".join(f"&{name}={value}" for name, value in more.items())
        return f"postgresql://iotgw@127.0.0.1:{self.port}/{database}?connect_timeout=3{options}"

    def connect(self, database):
        """A connection of the test's own."""
        return psycopg.connect(self.dsn(database), password=PASSWORD, autocommit=True)

    def new_database(self):
        """The name of a new, empty database."""
        name = f"t{uuid.uuid4().hex[:12]}"
        with self.connect("postgres") as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return name

    def password_file(self, folder):
        """A file with the password, as an operator keeps it."""
        file = folder / "postgres-password"
        file.write_text(PASSWORD + "\n")
        file.chmod(0o600)
        return file
