"""An SFTP server on asyncssh that lacks what it is told to: ``python asyncssh_server.py '{"port": …}'``.

A program of its own, so that it can be killed, and so that asyncio stays out of the tests.
"""

import asyncio
import json
import sys
from pathlib import Path

import asyncssh

UNSUPPORTED, DENIED = asyncssh.SFTPOpUnsupported, asyncssh.SFTPPermissionDenied


class Users(asyncssh.SSHServer):
    sessions = 0

    def connection_made(self, connection):
        self._connection = connection
        Users.sessions += 1
        if "connections" in SETTINGS and Users.sessions > SETTINGS["connections"]:
            connection.abort()

    def connection_lost(self, reason):
        Users.sessions -= 1

    def password_auth_supported(self):
        return "password" in SETTINGS

    def validate_password(self, username, password):
        if SETTINGS.get("expired"):
            raise asyncssh.PasswordChangeRequired("Choose another password:")
        return password == SETTINGS["password"]

    def kbdint_auth_supported(self):
        return "kbdint" in SETTINGS

    def get_kbdint_challenge(self, username, lang, submethods):
        return "", "", "", [("Password: ", False)]

    def validate_kbdint_response(self, username, responses):
        return list(responses) == [SETTINGS["kbdint"]]


class Limited(asyncssh.SFTPServer):
    """The files below a folder, without what the settings say."""

    def __init__(self, channel):
        super().__init__(channel, chroot=SETTINGS["root"].encode())

    def _refuse_if(self, what, error=UNSUPPORTED):
        if what in SETTINGS["lacks"]:
            raise error(SETTINGS.get("said", what))

    def open(self, path, pflags, attrs):
        name = path.rpartition(b"/")[2]
        if name.startswith(b"."):
            self._refuse_if("dot names", DENIED)
        if any(
            path.lstrip(b"/").startswith(folder.encode() + b"/") for folder in SETTINGS.get("refused", ())
        ):
            raise DENIED("no")
        if pflags & asyncssh.FXF_WRITE:
            self._refuse_if("writing", DENIED)
        return super().open(path, pflags, attrs)

    def write(self, file_obj, offset, data):
        self._refuse_if("space", asyncssh.SFTPFailure)
        if "room" in SETTINGS and offset + len(data) > int(Path(SETTINGS["room"]).read_text()):
            raise asyncssh.SFTPFailure("Failure")
        return super().write(file_obj, offset, data)

    def rename(self, oldpath, newpath):
        self._refuse_if("rename")
        self._refuse_if("rename denied", DENIED)
        return super().rename(oldpath, newpath)

    def posix_rename(self, oldpath, newpath):
        self._refuse_if("posix-rename")
        self._refuse_if("rename denied", DENIED)
        if "overtaken" in SETTINGS["lacks"]:  # somebody else has just done the same, once
            SETTINGS["lacks"].remove("overtaken")
            super().posix_rename(oldpath, newpath)
        return super().posix_rename(oldpath, newpath)

    def fsync(self, file_obj):
        self._refuse_if("fsync")
        return super().fsync(file_obj)

    def remove(self, path):
        self._refuse_if("remove")
        self._refuse_if("remove denied", DENIED)
        return super().remove(path)

    def mkdir(self, path, attrs):
        self._refuse_if("mkdir", DENIED)
        return super().mkdir(path, attrs)

    def fstat(self, file_obj):
        self._refuse_if("fstat")
        if "sizes" in SETTINGS["lacks"]:
            return asyncssh.SFTPAttrs(permissions=0o100644)
        return super().fstat(file_obj)

    def setstat(self, path, attrs, *, follow_symlinks=True):
        self._refuse_if("setstat")
        return super().setstat(path, attrs, follow_symlinks=follow_symlinks)

    def fsetstat(self, file_obj, attrs):
        self._refuse_if("setstat")
        return super().fsetstat(file_obj, attrs)


async def main():
    await asyncssh.listen(
        "127.0.0.1",
        SETTINGS["port"],
        server_factory=Users,
        server_host_keys=[SETTINGS["hostKey"]],
        authorized_client_keys=SETTINGS.get("authorized"),
        sftp_factory=Limited,
        allow_scp=False,
        **SETTINGS.get("options", {}),
    )
    await asyncio.Event().wait()


if __name__ == "__main__":
    SETTINGS = json.loads(Path(sys.argv[1]).read_text())
    asyncio.run(main())
