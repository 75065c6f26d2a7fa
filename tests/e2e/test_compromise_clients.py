"""An attacker with the token of an operator, and one with the key and the certificate of a device."""
import base64
import datetime
import hashlib
import itertools
import json
import re
import socket
import ssl
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from kit import api, client_pki, programs, roots
from kit.compromise import A, B, Row
from kit.processes import wait_until
from kit.rollout_fleet import Reporter
from kit.service import HOST
from kit.signer import encoded

token_row = Row("an API token")
device_row = Row("one device")

# ---- an API token -------------------------------------------------------------------------------------


def log(client):
    return [row["entry"] for row in client.get("/v1/log?limit=1000").json["entries"]]


def acts_since(client, n):
    """Who did what stands behind the first n entries; the service's own work may come between."""
    return [entry["actor"] for entry in log(client)[n:] if entry["actor"] != "holdfastd"]


MUTE = {"reason": "known", "until": (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(
    days=9)).strftime("%Y-%m-%dT%H:%M:%SZ")}
WHY = {"reason": "the test wants it"}
RANKS = ["viewer", "operator", "registrar", "admin"]


def new_report_key():
    raw = ed25519.Ed25519PrivateKey.generate().public_key().public_bytes(
        serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


class World:
    """Makes what a route acts on, new for each call, so that what is allowed succeeds."""

    def __init__(self, client):
        self.client, self.numbers = client, itertools.count(1)

    def name(self, prefix="new"):
        return f"{prefix}-{next(self.numbers)}"

    def made(self, target, body=None):
        answer = self.client.call("POST", target, body)
        assert answer.status in (200, 201), answer.raw
        return answer.json

    def account(self):
        return f"/v1/accounts/{self.made('/v1/accounts', {'name': self.name()})['name']}"

    def ca(self):
        body = {"certificate": client_pki.Ca(self.name()).pem, "mode": "SNI_ONLY"}
        return f"{A}/cas/{self.made(f'{A}/cas', body)['sha256']}"

    def certificate(self):
        return client_pki.pem(client_pki.self_signed(self.name())[0])

    def credential(self, status="ACTIVE", **more):
        body = {"certificate": self.certificate(), "status": status, **more}
        return f"{A}/credentials/{self.made(f'{A}/credentials', body)['sha256']}"

    def offered(self, account=A):
        path = self.credential("INACTIVE")
        self.made(f"{path}/transfer", {"to": "valves"})
        return path.replace(A, account)

    def enroll_token(self):
        return f"{A}/enroll-tokens/{self.made(f'{A}/enroll-tokens', {})['id']}"

    def device(self, status="ACTIVE"):
        name = self.name("pump")
        self.client.change("PATCH", self.credential(device=name), {"status": status})
        return f"{A}/devices/{name}"

    def report_key(self):
        path = f"{self.device()}/report-key"
        assert self.client.call("PUT", path, {"key": new_report_key()}).status == 200
        return path

    def finding(self):
        """Two devices have one key, which an audit finds."""
        key = client_pki.new_key()
        pems = [client_pki.pem(client_pki.certificate(self.name("pump"), key)) for _ in range(2)]
        subject = [self.made(f"{A}/credentials", {"certificate": pem, "status": "ACTIVE",
                                                  "device": self.name("pump")})["sha256"] for pem in pems][0]
        self.client.call("POST", "/v1/audits/DEVICE_CERTIFICATE_SHARED/run")

        def path():
            found = self.client.get("/v1/findings?limit=1000").json["findings"]
            return next((f"/v1/findings/{f['id']}" for f in found if f["subject"] == subject), None)
        return wait_until(path, "the audit finds it")

    def muted(self):
        path = self.finding()
        self.made(f"{path}/mute", MUTE)
        return path

    def rollout(self, state="open", profile="steered", **plan):
        """One in that state, at its first or a later stage; a device that says nothing keeps the next one closed."""
        path = f"/v1/rollouts/amazon-iot/{profile}/1"
        if self.client.get(path).status == 404:
            self._publish(profile, plan)
            wait_until(lambda: self.client.get(path).status == 200, "the service has seen it")
            self._is(path, "open")
        if self.client.get(path).json["state"] != state:
            verb = {"open": "resume", "paused": "pause"}[state]
            self.made(f"{path}/{verb}", WHY)
        self._is(path, state)
        return path

    def _is(self, path, state):
        wait_until(lambda: self.client.get(path).json["state"] == state, f"the rollout is {state}")

    def _publish(self, profile, plan):
        publisher = self.client.service.publisher
        if "rollout-amazon-iot" not in json.dumps(publisher.metadata("targets")):
            programs.ok("holdfastctl", "rollout", "delegate", *publisher.place, "--insecure-no-passphrase", "amazon-iot")
        Reporter(self.client, self.client.service.folder, self.name("member")).says("current", 1, profile=profile)
        second = int(time.time())
        wait_until(lambda: int(time.time()) > second, "the device was there before the bundle")
        file = self.client.service.folder / f"{profile}.json"
        stages = [{"share": f"{n}%", "bake": "0s", "min_count": 1} for n in range(86, 101)]
        stages[0]["groups"] = ["members"]
        file.write_text(json.dumps({"stages": stages, "mandatory_after": "30d", **plan}))
        publisher.add(*roots.amazon(1), profile=profile, options=["--new", "--plan", file])

    def excluded(self):
        path = self.rollout()
        device = next(d["id"] for d in self.client.get(f"{A}/devices?prefix=member-").json["devices"])
        return path, {"account": "pumps", "device": device, **WHY}

    def is_included(self):
        path, body = self.excluded()
        for entry in self.client.get(path).json["excluded"]:
            etag = self.client.get(path).etag
            assert self.client.call("DELETE", f"{path}/excluded/{entry['id']}", If_Match=etag).status == 204
        return f"{path}/excluded", body

    def is_excluded(self):
        path, body = self.is_included()
        return f"{path}/{self.made(path, body)['excluded'][0]['id']}"

    def approval(self):
        path = self.rollout(profile="approved", approval="api", approvals=8)
        at = self.client.get(path).json
        return f"{path}/approve", {"since": at["since"], "stage": at["stage"] + 1, "state": "open", **WHY}

    def token(self):
        return f"/v1/tokens/{self.made('/v1/tokens', {'name': self.name(), 'role': 'viewer'})['id']}"


ROLLOUT = "/v1/rollouts/{set}/{profile}/{version}"
CREDENTIAL = "/v1/accounts/{account}/credentials/{sha256}"

# How each route is called so that it succeeds: a path, and a body. A new route needs a line here.
WAYS = {
    "GET /v1/accounts": lambda w: ("/v1/accounts",),
    "POST /v1/accounts": lambda w: ("/v1/accounts", {"name": w.name()}),
    "GET /v1/accounts/{account}": lambda w: (A,),
    "PATCH /v1/accounts/{account}": lambda w: (w.account(), {"policy": "enroll"}),
    "DELETE /v1/accounts/{account}": lambda w: (w.account(),),
    "GET /v1/accounts/{account}/registration-code": lambda w: (f"{A}/registration-code",),
    "GET /v1/accounts/{account}/cas": lambda w: (f"{A}/cas",),
    "POST /v1/accounts/{account}/cas": lambda w: (
        f"{A}/cas", {"certificate": client_pki.Ca(w.name()).pem, "mode": "SNI_ONLY"}),
    "GET /v1/accounts/{account}/cas/{sha256}": lambda w: (w.ca(),),
    "PATCH /v1/accounts/{account}/cas/{sha256}": lambda w: (w.ca(), {"status": "INACTIVE"}),
    "DELETE /v1/accounts/{account}/cas/{sha256}": lambda w: (w.ca(),),
    "GET /v1/accounts/{account}/credentials": lambda w: (f"{A}/credentials",),
    "POST /v1/accounts/{account}/credentials": lambda w: (
        f"{A}/credentials", {"certificate": w.certificate()}),
    f"GET {CREDENTIAL}": lambda w: (w.credential(),),
    f"PATCH {CREDENTIAL}": lambda w: (w.credential(), {"status": "INACTIVE"}),
    f"POST {CREDENTIAL}/request-rotation": lambda w: (w.credential() + "/request-rotation",),
    f"POST {CREDENTIAL}/transfer": lambda w: (w.credential("INACTIVE") + "/transfer", {"to": "valves"}),
    f"POST {CREDENTIAL}/cancel": lambda w: (w.offered() + "/cancel",),
    f"POST {CREDENTIAL}/accept": lambda w: (w.offered(B) + "/accept",),
    f"POST {CREDENTIAL}/reject": lambda w: (w.offered(B) + "/reject",),
    "GET /v1/accounts/{account}/enroll-tokens": lambda w: (f"{A}/enroll-tokens",),
    "POST /v1/accounts/{account}/enroll-tokens": lambda w: (f"{A}/enroll-tokens", {}),
    "GET /v1/accounts/{account}/enroll-tokens/{id}": lambda w: (w.enroll_token(),),
    "DELETE /v1/accounts/{account}/enroll-tokens/{id}": lambda w: (w.enroll_token(),),
    "GET /v1/accounts/{account}/devices": lambda w: (f"{A}/devices",),
    "GET /v1/accounts/{account}/devices/{id}": lambda w: (w.device(),),
    "PATCH /v1/accounts/{account}/devices/{id}": lambda w: (w.device(), {"group": "lab"}),
    "DELETE /v1/accounts/{account}/devices/{id}": lambda w: (w.device("REVOKED"),),
    "GET /v1/accounts/{account}/devices/{id}/explanation": lambda w: (w.device() + "/explanation",),
    "GET /v1/accounts/{account}/devices/{id}/reports": lambda w: (w.device() + "/reports",),
    "GET /v1/accounts/{account}/devices/{id}/report-key": lambda w: (w.report_key(),),
    "PUT /v1/accounts/{account}/devices/{id}/report-key": lambda w: (
        w.device() + "/report-key", {"key": new_report_key()}),
    "DELETE /v1/accounts/{account}/devices/{id}/report-key": lambda w: (w.report_key(),),
    "GET /v1/accounts/{account}/unverified-reports": lambda w: (f"{A}/unverified-reports",),
    "GET /v1/accounts/{account}/fleet": lambda w: (f"{A}/fleet",),
    "GET /v1/accounts/{account}/series": lambda w: (f"{A}/series",),
    "GET /v1/accounts/{account}/bundles": lambda w: (f"{A}/bundles",),
    "GET /v1/accounts/{account}/readiness": lambda w: (f"{A}/readiness",),
    "GET /v1/events": lambda w: ("/v1/events?account=pumps",),
    "GET /v1/rollouts": lambda w: ("/v1/rollouts",),
    f"GET {ROLLOUT}": lambda w: (w.rollout(),),
    f"GET {ROLLOUT}/devices": lambda w: (w.rollout() + "/devices",),
    f"POST {ROLLOUT}/pause": lambda w: (w.rollout() + "/pause", WHY),
    f"POST {ROLLOUT}/resume": lambda w: (w.rollout("paused") + "/resume", WHY),
    f"POST {ROLLOUT}/promote": lambda w: (w.rollout() + "/promote", WHY),
    f"POST {ROLLOUT}/abort": lambda w: (w.rollout(profile=w.name("aborted")) + "/abort", WHY),
    f"POST {ROLLOUT}/approve": lambda w: w.approval(),
    f"POST {ROLLOUT}/excluded": lambda w: w.is_included(),
    f"DELETE {ROLLOUT}/excluded/{{id}}": lambda w: (w.is_excluded(),),
    "GET /v1/findings": lambda w: ("/v1/findings",),
    "GET /v1/findings/{id}": lambda w: (w.finding(),),
    "POST /v1/findings/{id}/mute": lambda w: (w.finding() + "/mute", MUTE),
    "DELETE /v1/findings/{id}/mute": lambda w: (w.muted() + "/mute",),
    "GET /v1/audits": lambda w: ("/v1/audits",),
    "POST /v1/audits/{name}/run": lambda w: ("/v1/audits/CA_CERTIFICATE_EXPIRING/run",),
    "GET /v1/accounts/{account}/log": lambda w: (f"{A}/log",),
    "GET /v1/log": lambda w: ("/v1/log",),
    "GET /v1/log/seals": lambda w: ("/v1/log/seals",),
    "GET /v1/tokens": lambda w: ("/v1/tokens",),
    "POST /v1/tokens": lambda w: ("/v1/tokens", {"name": w.name(), "role": "viewer"}),
    "GET /v1/tokens/{id}": lambda w: (w.token(),),
    "DELETE /v1/tokens/{id}": lambda w: (w.token(),),
    "GET /v1/signer": lambda w: ("/v1/signer",),
    "POST /v1/signer/refresh": lambda w: ("/v1/signer/refresh",),
    "GET /v1/status": lambda w: ("/v1/status",),
    "GET /metrics": lambda w: ("/metrics",),
    "GET /readyz": lambda w: ("/readyz",),
}
LOCAL_ONLY = {
    "POST /v1/publications": lambda w: ("/v1/publications", {"directory": "/"}),
    "POST /v1/backups": lambda w: ("/v1/backups", {"file": "/tmp/backup"}),
    "POST /v1/restores": lambda w: ("/v1/restores", {"file": "/tmp/backup"}),
}
LOOKS_ONLY = {"POST /v1/audits/{name}/run"}  # changes nothing, so the log has nothing of it


def operations():
    """METHOD and path of each route for operators, with the role that it needs."""
    document = api.Description().document
    return {f"{method.upper()} {path}": operation["x-role"]
            for path, item in document["paths"].items() for method, operation in item.items()
            if method != "parameters" and "x-role" in operation}


def call_as(client, token, method, target, *body):
    """With the version that is there now, again where the service has changed it meanwhile."""
    etag = "*"
    for _ in range(10):
        if method in ("PATCH", "DELETE"):
            etag = client.get(re.sub(r"/(mute|excluded/\d+)$", "", target)).etag
        answer = client.call(method, target, *body, token=token, If_Match=etag)
        if answer.status != 412:
            break
    return answer


@token_row.shows("what its role may do, each act in the log under its name", "what other roles may do")
def test_each_role_does_what_it_may_and_nothing_else(client):
    world = World(client)
    tokens = {role: world.made("/v1/tokens", {"name": role, "role": role})["token"] for role in RANKS}
    assert set(operations()) == set(WAYS) | set(LOCAL_ONLY)
    for route, needed in operations().items():
        method = route.split()[0]
        for role in RANKS:
            target, *body = {**WAYS, **LOCAL_ONLY}[route](world)
            entries_before = len(log(client)) if method != "GET" else 0
            answer = call_as(client, tokens[role], method, target, *body)
            may = RANKS.index(role) >= RANKS.index(needed) and route not in LOCAL_ONLY
            if not may:
                assert answer.status == 403, (route, role, answer.raw)
                assert method == "GET" or acts_since(client, entries_before) == [], (route, role)
            elif route == "POST /v1/signer/refresh" and answer.status == 429:
                pass  # one a minute
            else:
                assert answer.status in (200, 201, 202, 204), (route, role, answer.raw)
                if method != "GET" and route not in LOOKS_ONLY:
                    actors = acts_since(client, entries_before)
                    assert set(actors) == {f"token:{role}"}, (route, role, actors)


@token_row.shows("the tokens of others")
def test_a_token_never_tells_another(service, client):
    world = World(client)
    secrets = [world.made("/v1/tokens", {"name": "other", "role": "admin"})["token"], service.token()]
    mine = world.made("/v1/tokens", {"name": "mine", "role": "admin"})["token"]
    reads = [way(world)[0] for route, way in WAYS.items() if route.startswith("GET ")]
    for target in reads:
        answer = client.get(target, token=mine)
        assert answer.status == 200
        for secret in secrets:
            digest = hashlib.sha256(secret.encode()).digest()
            for form in (secret, secret.split("_", 1)[1], digest.hex(), encoded(digest)):
                assert form.encode() not in answer.raw, target
    viewer = world.made("/v1/tokens", {"name": "seer", "role": "viewer"})["token"]
    assert client.get("/v1/tokens", token=viewer).status == 403


# ---- one device ---------------------------------------------------------------------------------------

class Stolen:
    """Has the key and the certificate of device pump-7 of account pumps."""

    def __init__(self, service, client, folder):
        self.client, self.folder = client, folder
        self.key = client_pki.new_key()
        csr, _ = client_pki.csr(self.key)
        answer = client.device_call("POST", "/v1/enroll", {
            "csr": csr, "device": "pump-7", "token": service.token()}, sni=HOST)
        assert answer.status == 201, answer.raw
        self.sha = answer.json["credential"]
        self.pair = client_pki.write_pair(folder, "stolen", answer.json["certificate"], self.key)

    def call(self, method, target, body=None, sni=HOST, **more):
        cert, key = self.pair
        return self.client.device_call(method, target, body, sni=sni, cert=cert, key=key, **more)

    def rotation(self, key=None, **more):
        key = key or client_pki.new_key()
        csr, der = client_pki.csr(key, "pump-8")
        return {"csr": csr, "signature": encoded(client_pki.renewal(self.key, der)), **more}


@pytest.fixture
def stolen(service, client, folder):
    service.enrolled("pump-8")
    return Stolen(service, client, folder)


@device_row.shows("its own certificate and its successors, until it is revoked")
def test_a_stolen_device_ends_with_its_revocation(stolen, service, client, folder):
    assert stolen.call("GET", "/v1/whoami").json["device"] == "pump-7"
    key = client_pki.new_key()
    answer = stolen.call("POST", "/v1/rotate", stolen.rotation(key))
    assert answer.status == 201
    pair = client_pki.write_pair(folder, "next", answer.json["certificate"], key)
    assert client.device_call("GET", "/v1/whoami", sni=HOST, cert=pair[0],
                              key=pair[1]).json["device"] == "pump-7"
    service.admin("credential", "revoke", "--account", "pumps", stolen.sha)
    for cert, key_file in (stolen.pair, pair):
        with pytest.raises(ssl.SSLError, match="CERTIFICATE_REVOKED"):
            client.device_call("GET", "/v1/whoami", sni=HOST, cert=cert, key=key_file)


def registry(client):
    return [client.get(f"{account}/{part}").json for account in (A, B)
            for part in ("credentials", "devices", "enroll-tokens", "cas")]


@device_row.shows("another device's certificate")
def test_a_stolen_device_is_no_other_device(stolen, client, service):
    csr, _ = client_pki.csr(client_pki.new_key())
    before = registry(client)
    for body, status in (
            (stolen.rotation(device="pump-8"), 400), (stolen.rotation(credential="0" * 64), 400),
            ({**stolen.rotation(), "signature": encoded(b"x" * 70)}, 403),
            ({**stolen.rotation(), "csr": csr}, 403)):  # not the request that was signed
        assert stolen.call("POST", "/v1/rotate", body).status == status, body
    for body in ({"csr": csr, "device": "pump-8"}, {"csr": csr, "device": "pump-9"},
                 {"csr": csr, "device": "pump-7"}, {"csr": csr, "device": "pump-8", "token": "hfe_" + "A" * 43}):
        assert stolen.call("POST", "/v1/enroll", body).status == 403, body
        assert client.device_call("POST", "/v1/enroll", body, sni=HOST).status == 403, body
    assert registry(client) == before
    # A name in the request does not count: what it gets is its own.
    answer = stolen.call("POST", "/v1/rotate", stolen.rotation())
    mine = x509.load_pem_x509_certificate(answer.json["certificate"].encode())
    assert "pump-7" in mine.subject.rfc4514_string() and "pump-8" not in mine.subject.rfc4514_string()
    # Nor is there a route for operators here.
    world = World(client)
    for route, way in {**WAYS, **LOCAL_ONLY}.items():
        target, *body = way(world)
        if target.startswith("/v1/"):
            answer = stolen.call(route.split()[0], target, *body)
            assert answer.status == 404, (route, answer.raw)
    said = service.s_client("-ign_eof", "-cert", stolen.pair[0], "-key", stolen.pair[1],
                            send=f"GET /metrics HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n")
    assert "HTTP/1.1 404 " in said


def tls(client, stolen, sni, session=None, version=ssl.TLSVersion.TLSv1_2):
    """A connection of its own context, so that a session can be taken along."""
    context = stolen.context
    address, port = client.device.split(":")
    context.minimum_version = context.maximum_version = version
    return context.wrap_socket(socket.create_connection((address, int(port)), timeout=20),
                               server_hostname=sni, session=session)


@device_row.shows("anything of another account")
def test_a_stolen_device_is_in_no_other_account(stolen, client, service):
    token = json.loads(service.admin("enroll-token", "create", "--account", "valves", "--json"))["token"]
    before = registry(client)
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        with pytest.raises(ssl.SSLError, match="UNKNOWN_CA"):
            stolen.call("GET", "/v1/whoami", sni="valves.example", version=version)
    assert stolen.call("GET", "/v1/whoami", host="valves.example").status == 421
    csr, _ = client_pki.csr(client_pki.new_key())
    body = {"csr": csr, "device": "valve-1", "token": token}
    assert stolen.call("POST", "/v1/enroll", body).status == 403  # a token of the other account
    # A ticket of this account resumes nothing in the other.
    stolen.context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    stolen.context.check_hostname, stolen.context.verify_mode = False, ssl.CERT_NONE
    stolen.context.load_cert_chain(*stolen.pair)
    with tls(client, stolen, HOST) as first:
        session = first.session
    with tls(client, stolen, HOST, session) as again:
        assert again.session_reused
    with pytest.raises(ssl.SSLError, match="UNKNOWN_CA"):
        tls(client, stolen, "valves.example", session).close()
    assert registry(client) == before


def test_every_statement_is_shown():
    token_row.check()
    device_row.check()
