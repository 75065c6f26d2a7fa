"""All threads of holdfastd at once: loops, writer, reader, the signer's client, the keeper of the log, while devices
connect, enrol, rotate and are shut out and operators change everything. Under ThreadSanitizer this is where a race
between them would show."""
import contextlib
import os
import signal
import ssl
import subprocess
import threading
import time

import pytest

from kit import client_pki, compromise, roots
from kit.compromise import A
from kit.events import Stream
from kit.load import Load
from kit.service import HOST
from kit.signer import encoded

SECONDS = 60 if os.environ.get("HOLDFAST_LONG") else 5


@pytest.fixture
def service(processes, folder, publisher):
    publisher.add(*roots.amazon(1))
    made = compromise.start(processes, folder, publisher, server__loops=3, signer__issue_per_day=10000)
    yield made
    assert made.server.stop() == 0, made.server.err
    assert made.signer.stop() == 0


class Fleet:
    """What devices and operators do."""

    def __init__(self, service, client, folder):
        self.service, self.client, self.folder = service, client, folder
        self.lock, self.numbers = threading.Lock(), iter(range(1, 1 << 30))
        self.ca = client_pki.Ca("their CA")
        answer = client.call("POST", f"{A}/cas", {"certificate": self.ca.pem, "mode": "SNI_ONLY",
                                                  "auto_registration": "active"})
        assert answer.status == 201

    def name(self, prefix):
        with self.lock:
            return f"{prefix}-{next(self.numbers)}"

    def enrolled(self, prefix="pump"):
        name, key = self.name(prefix), client_pki.new_key()
        token = self.client.call("POST", f"{A}/enroll-tokens", {}).json["token"]
        body = {"csr": client_pki.csr(key)[0], "device": name, "token": token}
        answer = self.client.device_call("POST", "/v1/enroll", body, sni=HOST)
        assert answer.status == 201, answer.raw
        pair = client_pki.write_pair(self.folder, name, answer.json["certificate"], key)
        return name, key, pair, answer.json["credential"]

    def connect(self, device):
        """A full handshake, and a request, in each version."""
        name, _, (cert, key), _ = device
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            answer = self.client.device_call("GET", "/v1/whoami", sni=HOST, cert=cert, key=key,
                                             version=version)
            assert answer.json["device"] == name

    def fetch(self, device):
        """Twenty files over one connection of curl."""
        cert, key = device[2]
        url = f"{self.service.url}/metadata/timestamp.json"
        done = subprocess.run(
            ["curl", "-sS", "--noproxy", "*", "--cacert", self.service.server_ca, "--cert", cert, "--key",
             key, "-w", "%{http_code} ", *["-o", "/dev/null", url] * 20, "--resolve",
             f"{HOST}:{self.service.port}:127.0.0.1"], capture_output=True, text=True, timeout=60)
        assert done.stdout.split() == ["200"] * 20, done

    def resume(self, device):
        """A full handshake and five resumed ones."""
        cert, key = device[2]
        said = self.service.s_client("-tls1_2", "-reconnect", "-cert", cert, "-key", key)
        assert said.count("Reused, TLSv1.2") == 5, said

    def enrol_and_rotate(self):
        _, key, (cert, key_file), _ = self.enrolled()
        csr, der = client_pki.csr(client_pki.new_key())
        body = {"csr": csr, "signature": encoded(client_pki.renewal(key, der))}
        answer = self.client.device_call("POST", "/v1/rotate", body, sni=HOST, cert=cert, key=key_file)
        assert answer.status == 201, answer.raw

    def shut_out(self):
        """A device that is switched off and on and off again while it connects."""
        _, _, (cert, key), sha256 = self.enrolled("victim")
        path, ends = f"{A}/credentials/{sha256}", threading.Event()

        def keep_connecting():
            while not ends.is_set():
                try:
                    self.client.device_call("GET", "/v1/whoami", sni=HOST, cert=cert, key=key)
                except OSError:
                    pass

        victim = threading.Thread(target=keep_connecting)
        victim.start()
        try:
            for status in ("INACTIVE", "ACTIVE", "REVOKED"):
                assert self.client.call("PATCH", path, {"status": status}, If_Match="*").status == 200
        finally:
            ends.set()
            victim.join()
        with pytest.raises(ssl.SSLError, match="CERTIFICATE_REVOKED"):
            self.client.device_call("GET", "/v1/whoami", sni=HOST, cert=cert, key=key)

    def register_itself(self):
        name, key = self.name("auto"), client_pki.new_key()
        cert, key_file = client_pki.write_pair(self.folder, name, self.ca.issue(name, key), key)
        with pytest.raises(OSError):
            self.client.device_call("GET", "/v1/whoami", sni=HOST, cert=cert, key=key_file)

    def change_accounts(self):
        """Each of these makes a new directory for all loops."""
        name = self.name("account")
        path = f"/v1/accounts/{name}"
        assert self.client.call("POST", "/v1/accounts", {"name": name, "snis": [f"{name}.example"]}
                                ).status == 201
        assert self.client.change("PATCH", path, {"policy": "none"}).status == 200
        with pytest.raises(ssl.SSLError):
            self.client.device_call("GET", "/v1/whoami", sni=f"{name}.example",
                                    version=ssl.TLSVersion.TLSv1_2)
        assert self.client.change("DELETE", path).status == 204

    def look(self, token):
        for target in (f"{A}/credentials", f"{A}/devices", "/v1/log", "/v1/status", "/v1/signer"):
            assert self.client.get(target, token=token).status == 200

    def watch(self, token, streams):
        """Some read all, one never reads, one comes and goes."""
        for stream in streams[:2]:
            assert stream.next()
        with contextlib.closing(Stream(self.client, last_id=streams[0].last_id)) as guest:
            assert guest.next()
        with contextlib.closing(Stream(self.client, "/v1/events?account=pumps", token=token)) as guest:
            assert guest.status == 200

    def reload(self):
        self.service.server.signal(signal.SIGHUP)
        time.sleep(0.2)


def test_all_threads_while_everything_changes(service, client, folder):
    fleet, load = Fleet(service, client, folder), Load(SECONDS)
    token = client.call("POST", "/v1/tokens", {"name": "seer", "role": "viewer"}).json["token"]
    devices = [fleet.enrolled() for _ in range(3)]
    for act in (fleet.connect, fleet.fetch, fleet.resume):
        for device in devices:
            load.add(act, device)
    streams = [Stream(client), Stream(client, token=token), Stream(client, token=token, reads=False)]
    load.add(fleet.look, token)
    load.add(fleet.watch, token, streams)
    for act in (fleet.enrol_and_rotate, fleet.shut_out, fleet.register_itself, fleet.change_accounts,
                fleet.reload):
        load.add(act)
    load.wait()
    print(load.rounds)
    assert set(load.rounds) == {"connect", "fetch", "resume", "look", "watch", "enrol_and_rotate", "shut_out",
                                "register_itself", "change_accounts", "reload"}
    for device in devices:
        fleet.connect(device)
    for stream in streams:
        stream.close()
    assert service.server.stop() == 0, service.server.err
    assert "Sanitizer" not in service.server.err + service.signer.err
