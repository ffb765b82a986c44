"""A plugtest checker of somebody else's against a running gateway.

``python -m tests.conformance.checker COMMAND…`` starts ``twistd iotgw`` with a ``coap`` datasource that mounts
`tests.conformance.txthings_site`, runs the command with the gateway's ``coap://`` address behind it, and ends with the
command's status. Californium's checker, for example::

    make plugtests CHECKER="java -jar cf-plugtest-checker.jar"
"""

import subprocess
import sys
import tempfile

from tests.peers.gateway import Gateway
from tests.peers.process import free_udp_port

RESOURCES = """
[[datasource]]
id = "plugtests"
name = "Plugtests"
type = "coap"
routingKey = "plugtests"
[datasource.configuration]
port = {port}
interface = "127.0.0.1"
discovery = "on"
blockSize = {block_size}
resources = "tests.conformance.txthings_site:root"
"""
SETTINGS = 'coap-trees = ["tests.conformance.txthings_site:root"]\n'


def gateway(folder, port, block_size=64):
    """A gateway, not started yet, that serves the plugtests' resources at a loopback port."""
    resources = RESOURCES.format(port=port, block_size=block_size)
    return Gateway(folder, resources, SETTINGS)


def main(command: list[str]) -> int:
    """Run a checker; returns its exit status."""
    with tempfile.TemporaryDirectory() as folder:
        port = free_udp_port()
        with gateway(folder, port).start():
            return subprocess.run([*command, f"coap://127.0.0.1:{port}"], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
