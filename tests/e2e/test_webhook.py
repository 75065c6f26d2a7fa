"""Findings delivered to an address of the operator's: signed, in order, and at least once over failures and kills."""
import hashlib
import hmac
import http.server
import json
import re
import signal
import ssl
import threading
import time

import pytest

from kit import client_pki, programs, roots
from kit.processes import wait_until
from kit.service import Service

SECRET = "which only the receiver has"


class Receiver(http.server.ThreadingHTTPServer):
    """Answers with `status`, and keeps what it took."""

    def __init__(self, context, secret=SECRET):
        self.secret = secret
        super().__init__(("127.0.0.1", 0), Handler)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.status, self.taken, self.tries = 200, [], 0
        self.disliked, self.dislike = None, None  # a device, and what the receiver does to findings about it
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"https://localhost:{self.server_address[1]}/holdfast?from=test"

    def told(self):
        return [(d["event"], d["finding"]["check"], d["finding"]["device"]) for _, d in self.taken]


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):  # noqa: N802
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.tries += 1
        if self.server.disliked == json.loads(body)["finding"]["device"]:
            self.server.dislike(self)
            return
        if self.server.status == 200:
            self.check(body)
            self.server.taken.append((self.headers["Holdfast-Delivery"], json.loads(body)))
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def check(self, body):
        t, mac = re.fullmatch(r"t=(\d+),v1=([0-9a-f]{64})", self.headers["Holdfast-Signature"]).groups()
        wanted = hmac.new(self.server.secret.encode(), t.encode() + b"." + body, hashlib.sha256).hexdigest()
        assert hmac.compare_digest(mac, wanted)
        assert abs(time.time() - int(t)) < 60
        assert self.headers["Content-Type"] == "application/json"

    def log_message(self, *_):
        pass


@pytest.fixture
def service(processes, folder, publisher):
    publisher.add(*roots.amazon(1))
    made = Service(processes, folder / "service", publisher)
    made.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.context.load_cert_chain(made.chain, made.key)
    made.receiver = Receiver(made.context)
    secret = folder / "secret"
    secret.touch(mode=0o600)
    secret.write_text(SECRET + "\n")
    made.settings["webhook"] = {"url": made.receiver.url, "secret_file": secret, "ca_file": made.server_ca}
    made.write_config()
    made.start()
    yield made.with_account()
    made.server.stop()
    made.signer.stop()
    made.receiver.shutdown()


def share_a_key(service, *devices):
    key = client_pki.new_key()
    for device in devices:
        file = service.folder / f"{device}.pem"
        file.write_text(client_pki.pem(client_pki.certificate(device, key)))
        service.admin("credential", "register", file, "--account", "pumps", "--device", device, "--status",
                      "ACTIVE")
    service.admin("audit", "run", "DEVICE_CERTIFICATE_SHARED")


def test_each_change_is_delivered_once(service):
    receiver = service.receiver
    share_a_key(service, "pump-1", "pump-2")
    both = {("opened", "DEVICE_CERTIFICATE_SHARED", "pump-1"), ("opened", "DEVICE_CERTIFICATE_SHARED", "pump-2")}
    wait_until(lambda: set(receiver.told()) >= both, "both findings are delivered")
    one = next(d["finding"] for _, d in receiver.taken if d["finding"]["device"] == "pump-2")
    assert one == service.admin_json("finding", "show", str(one["id"]))
    for credential in service.credentials("--device", "pump-2"):
        service.admin("credential", "revoke", "--account", "pumps", credential["sha256"])
    service.admin("audit", "run", "DEVICE_CERTIFICATE_SHARED")
    ends = {("closed", check, device) for _, check, device in both}
    wait_until(lambda: set(receiver.told()) >= ends, "that they are gone is delivered")
    deliveries = [delivery for delivery, _ in receiver.taken]
    assert len(deliveries) == len(set(deliveries))


def test_what_cannot_be_delivered_is_not_lost(service):
    receiver = service.receiver
    receiver.status = 500
    share_a_key(service, "pump-1", "pump-2")
    wait_until(lambda: receiver.tries > 0, "it tries")
    wait_until(lambda: "findings cannot be delivered" in service.server.err, "it says so")
    assert "expected an answer 2xx, found 500" in service.server.err
    assert SECRET not in service.server.err
    service.server.popen.kill()  # no time to say anything
    receiver.status = 200
    service.start_server()
    wait_until(lambda: {device for _, _, device in receiver.told()} >= {"pump-1", "pump-2"}, "both are delivered")


def refuse(handler):
    handler.send_error(403)


def hang_up(handler):
    handler.close_connection = True


@pytest.mark.parametrize("dislike", [refuse, hang_up])
def test_a_finding_that_the_receiver_does_not_take_holds_back_no_other(service, dislike):
    receiver = service.receiver
    receiver.disliked, receiver.dislike = "pump-1", dislike
    share_a_key(service, "pump-1", "pump-2")
    opened = ("opened", "DEVICE_CERTIFICATE_SHARED")
    wait_until(lambda: (*opened, "pump-2") in receiver.told(), "the other one is delivered")
    assert (*opened, "pump-1") not in receiver.told()
    wait_until(lambda: re.search(r"findings cannot be delivered to .*: finding \d+: ", service.server.err), "it says so")
    receiver.disliked = None
    wait_until(lambda: (*opened, "pump-1") in receiver.told(), "it is tried again")


def reload(service):
    service.write_config()
    before = service.server.err.count("new connections get the certificates")
    service.server.signal(signal.SIGHUP)
    service.server.wait_for(lambda: service.server.err.count("new connections get the certificates") > before,
                            "has reloaded")


def test_a_reload_takes_another_address_and_secret_and_loses_nothing(service):
    service.receiver.status = 500
    share_a_key(service, "pump-1", "pump-2")
    wait_until(lambda: service.receiver.tries > 0, "it tries")
    other = Receiver(service.context, "another one of the operator's")
    service.settings["webhook"]["url"] = other.url
    service.settings["webhook"]["secret_file"].write_text(other.secret)
    reload(service)
    both = {("opened", "DEVICE_CERTIFICATE_SHARED", device) for device in ("pump-1", "pump-2")}
    wait_until(lambda: set(other.told()) >= both, "both are delivered to the new address")
    assert "[webhook] url has changed: it counts from now on" in service.server.err
    assert service.receiver.taken == []

    # Without a webhook they wait, and the next one gets what opened meanwhile, by the secret as the file has it now.
    webhook = service.settings.pop("webhook")
    reload(service)
    taken = len(other.taken)
    for credential in service.credentials("--device", "pump-2"):
        service.admin("credential", "revoke", "--account", "pumps", credential["sha256"])
    service.admin("audit", "run", "DEVICE_CERTIFICATE_SHARED")
    other.secret = "the third of the operator's"
    webhook["secret_file"].write_text(other.secret)
    service.settings["webhook"] = webhook
    assert len(other.taken) == taken
    reload(service)
    ends = {("closed", check, device) for _, check, device in both}
    wait_until(lambda: set(other.told()) >= ends, "that they are gone is delivered")
    deliveries = [delivery for delivery, _ in other.taken]
    assert len(deliveries) == len(set(deliveries))
    other.shutdown()


def test_a_secret_that_cannot_be_used_keeps_the_one_before(service):
    secret = service.settings["webhook"]["secret_file"]
    secret.write_text("short")
    service.server.signal(signal.SIGHUP)
    service.server.wait_for(lambda: "the configuration stays as it was" in service.server.err, "refuses it")
    assert "expected a secret of 16 to 256 bytes on the first line, found 5" in service.server.err
    assert "found 5" in programs.refused("holdfastd", "--check-config", service.config)
    share_a_key(service, "pump-1", "pump-2")
    wait_until(lambda: {device for _, _, device in service.receiver.told()} >= {"pump-1", "pump-2"},
               "both are delivered, signed as before")


@pytest.mark.parametrize("line, sentence", [
    ("url = ftp://example.net/", "begins with https:// or http://"),
    ("url = https://example.net/", "needs both url and secret_file"),
])
def test_a_configuration_that_cannot_work_is_refused(service, line, sentence):
    service.server.stop()
    text = service.config.read_text()
    if sentence.startswith("needs"):
        text = re.sub(r"secret_file = .*\n", "", text)
    else:
        text = re.sub(r"url = .*", line, text)
    service.config.write_text(text)
    assert sentence in programs.refused("holdfastd", "--check-config", service.config)
    service.write_config()
    service.start_server()


def test_a_secret_that_others_may_read_is_refused(service):
    service.server.stop()
    secret = service.settings["webhook"]["secret_file"]
    secret.chmod(0o644)
    outcome = programs.call("holdfastd", "--config", service.config)
    assert outcome.code == 1 and "every user may read this secret" in outcome.err
    secret.chmod(0o600)
    secret.write_text("short\n")
    outcome = programs.call("holdfastd", "--config", service.config)
    assert outcome.code == 1 and "expected a secret of 16 to 256 bytes on the first line, found 5" in outcome.err
    secret.write_text(SECRET + "\n")
    service.start_server()
