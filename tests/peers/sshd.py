"""A real OpenSSH server for SFTP, as root; host and user keys are made for the run."""

import os
import subprocess
from pathlib import Path

from .patience import HANGS
from .process import Process, accepts, find, free_port, missing


class Sshd(Process):
    """``sshd`` with public-key log-in for the user who runs the tests, files under ``root``. ``more`` are lines of its
    configuration, ``key`` is the type of its own key."""

    def __init__(self, folder, port=None, more="", sftp="internal-sftp", key="ed25519"):
        if os.geteuid() != 0:
            missing("OpenSSH's sshd needs root")
        folder.mkdir(parents=True, exist_ok=True)
        Path("/run/sshd").mkdir(exist_ok=True)
        self.port = port or free_port()
        self.root = folder / "files"
        self.root.mkdir(exist_ok=True)
        self.host_key = folder / f"host_{key}"
        self.user_key = folder / "user_ed25519"
        for file, kind in ((self.host_key, key), (self.user_key, "ed25519")):
            if not file.exists():
                make_key(file, kind, bits=2048 if kind == "rsa" else None)
        authorized = folder / "authorized_keys"
        authorized.write_bytes(self.user_key.with_suffix(".pub").read_bytes())
        config = folder / "sshd_config"
        config.write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {self.host_key}\nUsePAM no\nStrictModes no\n"
            f"AuthorizedKeysFile {authorized}\nPermitRootLogin yes\nSubsystem sftp {sftp}\nPidFile none\n{more}\n"
        )
        super().__init__([find("sshd"), "-D", "-e", "-f", config], folder / "sshd.log")

    @property
    def host_public_key(self):
        """``type base64`` as it stands in known_hosts."""
        return " ".join(self.host_key.with_suffix(".pub").read_text().split()[:2])

    def ready(self):
        return accepts(self.port)


def make_key(path, kind="ed25519", passphrase="", bits=None):
    size = ["-b", str(bits)] if bits else []
    subprocess.run(
        [find("ssh-keygen"), "-q", "-t", kind, *size, "-N", passphrase, "-f", str(path)],
        check=True,
        timeout=HANGS,
    )
