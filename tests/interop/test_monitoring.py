"""A real Prometheus scrapes a gateway under traffic: each expression of the alert rules and of the dashboard gives data,
each alert has its runbook, and faults that are caused are told."""

import json
import re
import subprocess
import time

import pytest

from tests.certificates import DAY, NOW, Authority
from tests.peers.gateway import ROOT, Gateway, request
from tests.peers.http_sink import HttpSink
from tests.peers.process import find, free_port, free_udp_port, wait_until
from tests.peers.prometheus import Prometheus

pytestmark = pytest.mark.interop

RULES = ROOT / "etc" / "prometheus" / "iotgw.rules.yml"
TEXT = re.sub(r">-\n\s+(.*)\n\s+(.*)", r"\1 \2", RULES.read_text())
EXPRESSIONS = dict(re.findall(r"- alert: (\w+)\n\s+expr: (.+)", TEXT))
DASHBOARD = json.loads((ROOT / "etc" / "grafana" / "iotgw.json").read_text())
SELECTOR = re.compile(r"\b(?:iotgw_\w+|process_\w+|up)\b(?:\{[^}]*\})?")

SCRIPT = """function Decoder(payload, metadata) {
  var text = String.fromCharCode.apply(null, payload);
  if (text === "bad") throw new Error("a bad one");
  return {deviceName: text, deviceType: "sensor", telemetry: {t: 1}};
}"""
ENDLESS = "function Decoder(payload, metadata) { while (true) {} }"
SOURCES = {
    "web": {},
    "guarded": {"unknownDevices": "quarantine"},
    "bounded": {"limit": "1:3600"},
    "closed": {"enabled": False},
    "endless": {"converter": "endless"},
}
CAUSED = {
    "IotgwDatasourceDown": "a datasource that is disabled",
    "IotgwUplinksRefused": "a limit that was reached",
    "IotgwSendersTurnedAway": "keys that are nobody's",
    "IotgwDevicesSilent": "a device that says nothing more",
    "IotgwDevicesWait": "a device that nobody knows",
    "IotgwConversionsFail": "a script that throws",
    "IotgwWorkerCrashes": "a script without an end",
    "IotgwIntegrationDown": "a target that is away",
    "IotgwDeadLetters": "a target that refuses",
    "IotgwDeliveriesLost": "what waited is purged",
    "IotgwCertificateEnds": "a certificate of five days",
}
"""The alerts whose fault is caused here. `promtool test rules` has all of them fire."""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    """A gateway that is well, and of which some parts are not."""
    folder = tmp_path_factory.mktemp("watched")
    backups = f'[backup.disk]\nto = "{folder / "backups"}"\nschedule = "30 3 * * *"\n'
    with Gateway(folder / "gateway", settings=backups).start() as gateway, HttpSink(folder / "sink") as sink:
        certificates = gateway.data / "certificates"
        certificates.mkdir(exist_ok=True)
        Authority().issue("gateway", end=NOW + 5 * DAY).write(certificates, "server")
        for name, script in (("reader", SCRIPT), ("endless", ENDLESS)):
            gateway.create("converters", name=name, script=script)
        gateway.create("device-types", name="sensor", reportEvery=2)
        for name, more in SOURCES.items():
            how = {"converter": "reader", "routingKey": f"key-{name}", **more}
            gateway.create("datasources", name=name, type="http", **how)
        gateway.create(
            "datasources",
            name="coap",
            type="coap",
            configuration={"interface": "127.0.0.1", "port": free_udp_port()},
        )
        sink.refuse("refused-device")
        for name, url in (("good", sink.url), ("away", f"http://127.0.0.1:{free_port()}")):
            gateway.create(
                "integrations", name=name, type="http", configuration={"url": url}, retry={"maxAttempts": 1}
            )
        yield gateway


@pytest.fixture(scope="module")
def prometheus(gateway, tmp_path_factory):
    with Prometheus(tmp_path_factory.mktemp("prometheus"), gateway, RULES) as prometheus:
        wait_until(lambda: prometheus.query("iotgw_deliveries_ended_total"), what="the first scrape")
        gateway.post("key-endless", b"x")
        yield prometheus


def send(gateway):
    """Traffic with faults in it. What waited for the target that is away is purged; what comes now waits."""
    assert gateway.api("POST", "/integrations/away/purge").status == 200
    for number in range(5):
        gateway.post("key-web", f"device-{number % 3}".encode())
        gateway.post("key-nobody", b"x")
    for name, body in (
        ("web", b"bad"),
        ("web", b"refused-device"),
        ("guarded", b"stranger"),
        ("bounded", b"once"),
    ):
        gateway.post(f"key-{name}", body)


def with_traffic(gateway, prometheus, expression):
    """What an expression gives, once it gives something while traffic goes on."""

    sent_at = 0.0

    def found():
        nonlocal sent_at
        samples = prometheus.query(expression)
        if not samples and time.monotonic() - sent_at > 3:
            sent_at = time.monotonic()
            send(gateway)
        return samples

    return wait_until(found, 40, expression)


@pytest.mark.parametrize("alert", CAUSED)
def test_a_fault_that_is_caused_is_told(gateway, prometheus, alert):
    with_traffic(gateway, prometheus, EXPRESSIONS[alert])


@pytest.mark.parametrize("alert", EXPRESSIONS)
def test_what_an_alert_looks_at_is_there_and_its_expression_runs(gateway, prometheus, alert):
    expression = EXPRESSIONS[alert]
    prometheus.query(expression)
    for selector in SELECTOR.findall(expression):
        with_traffic(gateway, prometheus, selector)


def test_each_panel_of_the_dashboard_gives_data(gateway, prometheus):
    given = {"$__rate_interval": "30s", "$instance": ".*", "$tenant": ".*"}
    expressions = [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", ())]
    assert len(expressions) > 30
    for variable, value in given.items():
        expressions = [expression.replace(variable, value) for expression in expressions]
    for expression in expressions:
        with_traffic(gateway, prometheus, expression)
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]["query"]).groups()
            assert all(label in labels for labels, _ in prometheus.query(metric))


def test_rules_are_evaluated_and_an_alert_reaches_the_state_of_firing(gateway, prometheus):
    firing = 'ALERTS{alertname="IotgwCertificateEnds",alertstate="firing"}'
    wait_until(lambda: prometheus.query(firing), 30, firing)
    rules = [rule for group in prometheus.api("rules")["groups"] for rule in group["rules"]]
    assert [rule["name"] for rule in rules if rule["health"] != "ok"] == []
    assert {rule["name"] for rule in rules} == set(EXPRESSIONS)


def test_the_tool_of_prometheus_finds_no_fault_with_the_metrics(gateway):
    text = request("GET", f"{gateway.url}/metrics", headers={"Authorization": f"Bearer {gateway.token}"}).body
    checked = subprocess.run(
        [find("promtool"), "check", "metrics"], input=text, check=False, capture_output=True
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")


def test_counters_grow_with_what_happens_and_stay_while_it_is_done_again(gateway, prometheus):
    def failed():
        return dict_of(prometheus.query('iotgw_conversions_total{outcome="failed"}'))

    def accounts():
        return dict_of(prometheus.query('iotgw_uplinks{state="failed"}'))

    wait_until(lambda: failed().get("web") and accounts().get("web"), what="a failure")
    before, moved = failed(), accounts()
    mended = {"name": "reader", "script": SCRIPT.replace('"bad"', '"worse"')}
    assert gateway.api("PUT", "/converters/reader", mended).status == 200
    message = gateway.messages(datasource="web", state="failed", limit=1)[0]
    assert gateway.api("POST", f"/messages/{message['id']}/reprocess").status == 200
    wait_until(lambda: accounts()["web"] < moved["web"], what="the accounts to have moved")
    assert failed()["web"] == before["web"]


def dict_of(samples):
    return {labels["datasource"]: value for labels, value in samples}


def test_the_rules_own_tests_pass():
    rules = ROOT / "etc" / "prometheus" / "iotgw.rules.test.yml"
    tested = subprocess.run(
        [find("promtool"), "test", "rules", rules], check=False, capture_output=True, text=True
    )
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert {name for name in EXPRESSIONS if f'alertname="{name}"' in rules.read_text()} == set(EXPRESSIONS)
