"""SFTP servers of other makers, each in the states that the tests ask for."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from .patience import HANGS
from .process import Process, accepts, find, free_port, missing
from .sshd import Sshd, make_key

PROGRAMS = Path(__file__).parent


class SftpServer(Process):
    """A server with a key of its own, and one that may log in. ``root`` holds its files; ``base`` is where they are for
    who logs in."""

    user = "me"
    checks_small = False
    """Whether a small file fits where a large one does not."""
    base = ""

    def prepare(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = free_port()
        self.root = folder / "files"
        self.root.mkdir(exist_ok=True)
        self.host_key, self.user_key = folder / "host_ed25519", folder / "user_ed25519"
        for key in (self.host_key, self.user_key):
            if not key.exists():
                make_key(key)
        self.authorized = folder / "authorized_keys"
        self.authorized.write_bytes(self.user_key.with_suffix(".pub").read_bytes())

    @property
    def host_public_key(self):
        return " ".join(self.host_key.with_suffix(".pub").read_text().split()[:2])

    def ready(self):
        return accepts(self.port)

    def configuration(self, **more):
        """The settings of a target that writes here."""
        path = more.pop("path", "{{ deviceName }}/{{ key }}.json")
        login = {} if "password" in more else {"privateKey": self.user_key.read_text()}
        return {
            "host": "127.0.0.1", "port": self.port, "username": self.user, "hostKeys": [self.host_public_key],
            "path": f"{self.base}{path}", **login, **more,
        }  # fmt: skip

    def files(self, pattern="**/*"):
        """What stands under a final name: neither written aside, nor a marker."""
        return sorted(
            path
            for path in self.root.glob(pattern)
            if path.is_file() and path.suffix not in (".part", ".done", ".sha256")
        )


class OpenSsh(SftpServer):
    """OpenSSH's, with ``sftp-server`` as a program of its own; ``sftp`` are its options, ``more`` lines of the
    configuration, ``key`` the type of its own key."""

    user = "root"

    def __init__(self, folder, more="", sftp="", key="ed25519"):
        self._sshd = Sshd(folder, more=more, sftp=f"/usr/lib/openssh/sftp-server {sftp}", key=key)
        self.folder, self.port, self.root = folder, self._sshd.port, self._sshd.root
        self.host_key, self.user_key = self._sshd.host_key, self._sshd.user_key
        self.base = f"{self.root}/"
        super().__init__(self._sshd.args, self._sshd.log)


class AsyncsshServer(SftpServer):
    """asyncssh's, without the operations in ``lacks``."""

    def __init__(self, folder, lacks=(), **more):
        self.prepare(folder)
        self._settings = folder / "settings.json"
        self._made = {
            "port": self.port, "root": str(self.root), "hostKey": str(self.host_key),
            "authorized": str(self.authorized), "lacks": list(lacks), **more,
        }  # fmt: skip
        self.change()
        super().__init__(
            [sys.executable, PROGRAMS / "asyncssh_server.py", self._settings], folder / "server.log"
        )

    def change(self, **more):
        """How it is from the next start on."""
        self._made |= more
        self._settings.write_text(json.dumps(self._made))


class ProFtpd(SftpServer):
    """ProFTPD's mod_sftp. ``more`` are lines of its configuration."""

    user = "root"

    def __init__(self, folder, more="", password=""):
        if os.geteuid() != 0:
            missing("ProFTPD needs root")
        if not Path("/usr/lib/proftpd/mod_sftp.so").exists():
            missing("proftpd-mod-crypto is not installed; tests/install-peers installs it")
        self.prepare(folder)
        self.base = f"{self.root}/"
        keys, users, config = folder / "keys", folder / "users", folder / "proftpd.conf"
        public = self.user_key.with_suffix(".pub")
        keys.write_bytes(subprocess.check_output([find("ssh-keygen"), "-e", "-f", public], timeout=HANGS))
        sealed = subprocess.check_output(
            [find("openssl"), "passwd", "-6", password or "none"], text=True, timeout=HANGS
        )
        users.write_text(f"root:{sealed.strip()}:0:0::/root:/bin/sh\n")
        users.chmod(0o600)
        config.write_text(
            f"ServerType standalone\nDefaultAddress 127.0.0.1\nPort {self.port}\nUseIPv6 off\nUser root\nGroup root\n"
            f"ModulePath /usr/lib/proftpd\nLoadModule mod_sftp.c\nPidFile {folder}/pid\nScoreboardFile {folder}/board\n"
            f"AuthOrder mod_auth_file.c\nAuthUserFile {users}\nRequireValidShell off\nRootLogin on\nUseFtpUsers off\nWtmpLog off\n"
            f"DelayEngine off\nUseReverseDNS off\nAllowOverwrite on\n"
            f"SFTPEngine on\nSFTPHostKey {self.host_key}\nSFTPAuthorizedUserKeys file:{keys}\nSFTPLog {folder}/sftp.log\n"
            f"SystemLog {folder}/system.log\n{more}\n"
        )
        super().__init__([find("proftpd"), "--nodaemon", "--config", config], folder / "server.log")


class Dropbear(SftpServer):
    """dropbear with OpenSSH's ``sftp-server``, in mounts of its own: its paths are built in. ``sftp`` are options of
    ``sftp-server``."""

    user = "root"

    def __init__(self, folder, more=(), sftp=""):
        if os.geteuid() != 0:
            missing("dropbear's mounts need root")
        self.prepare(folder)
        self.base = f"{self.root}/"
        program, home = folder / "sftp-server", folder / "home"
        shutil.copy("/usr/lib/openssh/sftp-server", folder / "openssh")
        program.write_text(f"#!/bin/sh\nexec {folder}/openssh {sftp}\n")
        program.chmod(0o755)
        (home / ".ssh").mkdir(parents=True, exist_ok=True)
        shutil.copy(self.authorized, home / ".ssh/authorized_keys")
        for path, mode in ((home, 0o700), (home / ".ssh", 0o700), (home / ".ssh/authorized_keys", 0o600)):
            path.chmod(mode)
        host_key = folder / "host"
        convert = [find("dropbearconvert"), "openssh", "dropbear", self.host_key, host_key]
        subprocess.run(convert, check=True, capture_output=True, timeout=HANGS)
        started = f"{find('dropbear')} -F -E -p 127.0.0.1:{self.port} -r {host_key} -P {folder}/pid {' '.join(more)}"
        there = Path("/usr/lib/sftp-server").resolve()
        script = f"mount --bind {program} {there} && mount --bind {home} /root && exec {started}"
        super().__init__([find("unshare"), "-m", "sh", "-c", script], folder / "server.log")


class GoServer(SftpServer):
    """github.com/pkg/sftp over golang.org/x/crypto/ssh."""

    def __init__(self, folder, lacks=(), **more):
        program = PROGRAMS / "gosftp/gosftp"
        if not program.exists():
            missing("the Go server is not built; tests/install-peers large builds it")
        self.prepare(folder)
        made = {
            "port": self.port, "root": str(self.root), "hostKey": str(self.host_key),
            "authorized": str(self.authorized), "lacks": list(lacks), **more,
        }  # fmt: skip
        settings = folder / "settings.json"
        settings.write_text(json.dumps(made))
        super().__init__([program, settings], folder / "server.log")


class MinaServer(SftpServer):
    """Apache MINA SSHD."""

    def __init__(self, folder, lacks=(), password=""):
        target = PROGRAMS / "minasshd/target"
        if not (target / "mina-sftp-1.jar").exists():
            missing("the Java server is not built; tests/install-peers large builds it")
        self.prepare(folder)
        path = f"{target}/mina-sftp-1.jar:{target}/lib/*"
        args = [
            self.port,
            self.root,
            self.host_key,
            self.authorized,
            ",".join(lacks),
            *filter(None, [password]),
        ]
        java = [find("java"), "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-cp", path, "iotgw.example.Server"]
        super().__init__([*java, *args], folder / "server.log")
