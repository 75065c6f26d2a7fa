"""GET /metrics, the alert rules over it, and the dashboard: read by Prometheus' own programs."""
import json
import re
import ssl
import subprocess
import urllib.request

import pytest

from kit import programs, roots
from kit.programs import CHECKOUT
from kit.service import Service

RULES = CHECKOUT / "deploy" / "prometheus" / "holdfast.rules.yml"
DASHBOARD = CHECKOUT / "deploy" / "grafana" / "holdfast.json"


@pytest.fixture
def service(processes, folder, publisher):
    publisher.add(*roots.amazon(1))
    made = Service(processes, folder / "service", publisher)
    made.settings["admin"].update(listen="127.0.0.1:0", certificate=made.chain, key=made.key)
    made.write_config()
    made.start()
    yield made.with_account()
    made.server.stop()
    made.signer.stop()


def metrics(service):
    """What a Prometheus server reads, with a token that may only look."""
    if not hasattr(service, "viewer"):
        service.viewer = service.admin_json("token", "create", "prometheus", "--role", "viewer")["token"]
    port = re.search(r"for operators on https://127\.0\.0\.1:(\d+)", service.server.err)[1]
    request = urllib.request.Request(f"https://localhost:{port}/metrics",
                                     headers={"Authorization": f"Bearer {service.viewer}"})
    context = ssl.create_default_context(cafile=service.server_ca)
    with urllib.request.urlopen(request, context=context, timeout=20) as answer:
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        text = answer.read().decode()
    samples = dict(re.fullmatch(r"(\S+) (\S+)", line).groups()
                   for line in text.splitlines() if not line.startswith("#"))
    return text, {name: float(value) for name, value in samples.items()}


def promtool(*words, text=None, folder=None):
    done = subprocess.run(["promtool", *words], input=text, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_what_happened_is_counted(service):
    _, before = metrics(service)
    device = service.enrolled("pump-1")
    device.update()
    service.s_client(name="unknown.example")
    text, after = metrics(service)

    def grew(name):
        return after.get(name, 0) - before.get(name, 0)
    assert grew('holdfast_http_connections_opened_total{listener="devices"}') >= 3
    assert grew('holdfast_tls_handshakes_total{listener="devices",result="full"}') >= 1
    assert grew('holdfast_tls_handshakes_total{listener="devices",result="failed"}') == 1
    assert grew('holdfast_tls_alerts_total{listener="devices",alert="unrecognized_name",number="112"}') == 1
    assert grew('holdfast_http_answers_total{listener="devices",code="2xx"}') >= 5
    assert grew('holdfast_http_answers_total{listener="devices",code="5xx"}') == 0
    assert grew("holdfast_registry_certificates") == 1
    assert grew("holdfast_store_commits_total") >= 3
    assert after["holdfast_store_failures_total"] == 0
    assert after["holdfast_repository_served"] == 1
    assert after['holdfast_repository_version{role="root"}'] == 1
    assert after["holdfast_log_entries"] >= after["holdfast_log_sealed_entries"]
    assert "pump-1" not in text and "pumps" not in text  # no label that a client chooses
    assert promtool("check", "metrics", text=text) == ""


def test_metrics_are_for_operators(service):
    said = service.s_client(send="GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert "holdfast_build_info" not in said


def test_the_alert_rules_hold(service):
    assert "SUCCESS" in promtool("check", "rules", RULES)
    assert "SUCCESS" in promtool("test", "rules", "holdfast.test.yml", folder=RULES.parent)
    text, _ = metrics(service)
    families = set(re.findall(r"^# TYPE (\S+)", text, re.M))
    for file in (RULES, DASHBOARD):
        used = set(re.findall(r"holdfast_[a-z_]+", file.read_text()))
        assert used and used <= families, f"{file.name} names what is not measured: {used - families}"


def test_the_dashboard_is_whole():
    dashboard = json.loads(DASHBOARD.read_text())
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids)) >= 8
    for panel in dashboard["panels"]:
        assert panel["title"] and (panel["type"] == "row" or panel["targets"])
