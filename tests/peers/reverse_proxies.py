"""Real reverse proxies, each with the configuration that `docs/reverse-proxies.md` has for it; only places are changed."""

import re

from tests.peers.gateway import ROOT
from tests.peers.process import Process, accepts, find, free_port

PAGE = ROOT / "docs" / "reverse-proxies.md"


def example(name, page=PAGE):
    """The block of the page whose first line names a file."""
    blocks = re.findall(r"^```\w+\n(# \S+.*?)^```", page.read_text(), re.S | re.M)
    (found,) = [block for block in blocks if block.split("\n", 1)[0].removeprefix("# ") == name]
    return found


class ReverseProxy(Process):
    """A proxy at ``https://localhost:{port}``, in front of a gateway."""

    def __init__(self, folder, command, texts):
        for name, text in texts.items():
            (folder / name).write_text(text)
        super().__init__(
            command,
            folder / "proxy.log",
            env={"XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "HOME": str(folder)},
        )

    def ready(self):
        return accepts(self.port)


class Nginx(ReverseProxy):
    def __init__(self, folder, gateway, certificate, key, name="iotgw.conf"):
        self.port = free_port()
        server = example(f"/etc/nginx/conf.d/{name}").replace("127.0.0.1:8080", f"127.0.0.1:{gateway.port}")
        server = re.sub(r"listen \d+ ssl", f"listen 127.0.0.1:{self.port} ssl", server)
        server = re.sub(r"ssl_certificate \S+;", f"ssl_certificate {certificate};", server)
        server = re.sub(r"ssl_certificate_key \S+;", f"ssl_certificate_key {key};", server)
        temporary = "".join(
            f"{each}_temp_path {folder}/{each};\n"
            for each in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        main = (
            f"daemon off; pid {folder}/nginx.pid; error_log stderr;\nevents {{}}\n"
            f"http {{\naccess_log off;\n{temporary}{server}}}\n"
        )
        super().__init__(
            folder,
            [find("nginx"), "-p", folder, "-e", "stderr", "-c", folder / "nginx.conf"],
            {"nginx.conf": main},
        )


class Haproxy(ReverseProxy):
    def __init__(self, folder, gateway, certificate, key, name="haproxy.cfg"):
        self.port, self.tcp_port, self.behind = free_port(), free_port(), free_port()
        pem = folder / "both.pem"
        text = example(f"/etc/haproxy/{name}").replace("127.0.0.1:8080", f"127.0.0.1:{gateway.port}")
        text = re.sub(r"bind :443 ssl crt \S+", f"bind 127.0.0.1:{self.port} ssl crt {pem}", text)
        text = text.replace("bind :10560", f"bind 127.0.0.1:{self.tcp_port}")
        text = text.replace("127.0.0.1:10561", f"127.0.0.1:{self.behind}")
        both = open(certificate).read() + open(key).read()  # noqa: SIM115
        super().__init__(
            folder,
            [find("haproxy"), "-db", "-f", folder / "haproxy.cfg"],
            {"both.pem": both, "haproxy.cfg": text},
        )


class Caddy(ReverseProxy):
    def __init__(self, folder, gateway, certificate, key):
        self.port = free_port()
        text = example("/etc/caddy/Caddyfile").replace("127.0.0.1:8080", f"127.0.0.1:{gateway.port}")
        text = text.replace(
            "gateway.example {",
            f"https://localhost:{self.port}, https://gateway.example:{self.port} {{\n\ttls {certificate} {key}",
        )
        text = f"{{\n\tadmin off\n\tauto_https disable_redirects\n\tdefault_bind 127.0.0.1\n}}\n{text}"
        super().__init__(
            folder,
            [find("caddy"), "run", "--config", folder / "Caddyfile", "--adapter", "caddyfile"],
            {"Caddyfile": text},
        )
