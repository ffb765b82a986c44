"""Writes the flow and the settings of Node-RED: coap in → function → mqtt out | http request.

python nodered.py DIRECTORY PORT mqtt|http TARGET_PORT
"""

import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent

FUNCTION = """
{decoder}
msg.res.code = '2.04';
msg.res.end();
if (msg.req.payload.length < 24) return null;
var output = Decoder(msg.req.payload, {{}});
return {{ topic: 't/' + output.deviceName, payload: JSON.stringify(output), headers: {{'content-type': 'application/json'}} }};
"""

SETTINGS = """module.exports = {
    uiHost: '127.0.0.1', uiPort: 0, disableEditor: true, httpAdminRoot: false, flowFile: 'flows.json',
    credentialSecret: false, nodesDir: %s, logging: { console: { level: 'warn' } },
    externalModules: { autoInstall: false }, telemetry: { enabled: false },
};
"""


def flow(port: int, kind: str, target: int) -> list[dict]:
    """The nodes of one flow; ``kind`` is what stands at its end."""
    nodes = [
        {"id": "tab", "type": "tab", "label": "bench"},
        {"id": "server", "type": "coap-server", "name": "", "port": str(port), "ipv6": False},
        {"id": "in", "type": "coap in", "z": "tab", "method": "POST", "name": "", "server": "server", "url": "up", "wires": [["js"]]},
        {"id": "js", "type": "function", "z": "tab", "outputs": 1, "timeout": 0, "noerr": 0, "initialize": "", "finalize": "", "libs": [],
         "func": FUNCTION.format(decoder=(HERE / "decoder.js").read_text()), "wires": [["out"]]},
    ]  # fmt: skip
    if kind == "mqtt":
        nodes += [
            {"id": "broker", "type": "mqtt-broker", "broker": "127.0.0.1", "port": str(target), "clientid": "nodered", "usetls": False,
             "protocolVersion": "4", "keepalive": "60", "cleansession": True, "autoConnect": True},
            {"id": "out", "type": "mqtt out", "z": "tab", "topic": "", "qos": "1", "retain": "false", "broker": "broker", "wires": []},
        ]  # fmt: skip
    else:
        nodes += [
            {"id": "out", "type": "http request", "z": "tab", "method": "POST", "ret": "txt", "paytoqs": "ignore", "persist": True,
             "url": f"http://127.0.0.1:{target}/", "tls": "", "proxy": "", "authType": "", "senderr": False, "wires": [[]]},
        ]  # fmt: skip
    return nodes


if __name__ == "__main__":
    directory = Path(sys.argv[1])
    (directory / "flows.json").write_text(
        json.dumps(flow(int(sys.argv[2]), sys.argv[3], int(sys.argv[4])), indent=1)
    )
    (directory / "settings.js").write_text(
        SETTINGS % json.dumps([str(HERE / "node_modules" / "node-red-contrib-coap")])
    )
