"""The alert rules and the dashboard speak of metrics that there are, and each rule leads to a place in the documentation."""

import json
import re

from iotgw.api.metric_table import METRICS
from tests.peers.gateway import ROOT
from tests.unit.test_docs import anchors

TEXT = (ROOT / "etc" / "prometheus" / "iotgw.rules.yml").read_text()
ALERTS = re.findall(r"- alert: (\w+)\n.*?severity: (\w+).*?runbook: (\S+)", TEXT, re.S)


def test_metrics_of_rules_and_dashboard_are_those_of_the_table():
    dashboard = (ROOT / "etc" / "grafana" / "iotgw.json").read_text()
    told = {name for text in (TEXT, dashboard) for name in re.findall(r"\b(?:iotgw|process)_\w+", text)}
    assert len(told) > 30
    assert {re.sub("_(bucket|sum|count)$", "", name) for name in told} <= METRICS.keys()
    assert json.loads(dashboard)["panels"]


def test_each_alert_has_a_runbook_and_its_row_in_the_documentation():
    page = (ROOT / "docs" / "monitoring.md").read_text()
    assert len(ALERTS) == TEXT.count("- alert:") == page.count("| `Iotgw")
    for alert, severity, runbook in ALERTS:
        place, _, anchor = runbook.partition("#")
        assert anchor in anchors(ROOT / "docs" / place), runbook
        assert re.search(rf"\| `{alert}` \| {severity} \| \[.+\]\({re.escape(runbook)}\) \|", page), alert


def test_each_alert_has_a_test_of_its_own():
    tested = (ROOT / "etc" / "prometheus" / "iotgw.rules.test.yml").read_text()
    assert {alert for alert, _, _ in ALERTS} == set(re.findall(r'alertname="(\w+)"\}\)', tested))
