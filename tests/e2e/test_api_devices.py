"""The devices' part of the API over TLS: each row of the identity table with a real client, enrolment,
rotation, and what a second request, a crash or an attacker makes of them."""
import concurrent.futures
import datetime
import ssl
import time

import pytest

from kit import client_pki
from kit.processes import wait_until

A, B = "/v1/accounts/pumps", "/v1/accounts/valves"
TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


def make(api, name="pumps", **more):
    answer = api.call("POST", "/v1/accounts", {"name": name, "snis": [f"{name}.example"], **more})
    assert answer.status == 201, answer.raw


@pytest.fixture
def pumps(api, signer):
    """The account of most tests, with a CA of the signer."""
    make(api)
    api.ca = signer.add_ca("pumps-2026", "pumps")
    assert api.call("POST", f"{A}/cas", {"signer_ca": "pumps-2026"}).status == 201
    return api


class Client:
    """A device: its key, its certificate, and where it connects."""

    def __init__(self, api, folder, name, sni="pumps.example"):
        self.api, self.folder, self.name, self.sni = api, folder, name, sni
        self.key, self.pair = client_pki.new_key(), None
        self.csr, self.csr_der = client_pki.csr(self.key)

    def use(self, certificate):
        self.pair = client_pki.write_pair(self.folder, f"{self.name}-{time.monotonic_ns()}",
                                          certificate, self.key)
        return self

    def call(self, method, target, body=None, **more):
        cert, key = self.pair or (None, None)
        more.setdefault("sni", self.sni)
        return self.api.device_call(method, target, body, cert=cert, key=key, **more)

    def enroll(self, token=None, **more):
        body = {"csr": self.csr, "device": self.name, **more}
        if token:
            body["token"] = token
        return self.call("POST", "/v1/enroll", body)

    def whoami(self, **more):
        return self.call("GET", "/v1/whoami", **more)

    def refused(self, **more):
        """The alert with which the handshake is refused."""
        with pytest.raises(ssl.SSLError) as error:
            self.whoami(**more)
        return error.value.reason


def token_for(api, **body):
    answer = api.call("POST", f"{A}/enroll-tokens", body)
    assert answer.status == 201, answer.raw
    return answer.json["token"]


def enrolled(api, folder, name="pump-7"):
    client = Client(api, folder, name)
    answer = client.enroll(token_for(api))
    assert answer.status == 201, answer.raw
    client.sha = answer.json["credential"]
    client.path = f"{A}/credentials/{client.sha}"
    return client.use(answer.json["certificate"])


def own(api, folder, name="own", status="ACTIVE", account=A, device=None, **more):
    """A device whose certificate the operator registered without a CA."""
    client = Client(api, folder, name)
    cert = client_pki.certificate(name, client.key, **more)
    answer = api.call("POST", f"{account}/credentials",
                      {"certificate": client_pki.pem(cert), "status": status,
                       **({"device": device} if device else {})})
    assert answer.status == 201, answer.raw
    client.sha = answer.json["sha256"]
    client.path = f"{account}/credentials/{client.sha}"
    client.cert = cert
    return client.use(cert)


# ---- the identity table ------------------------------------------------------------------------------


def test_row_1_the_server_name_decides_the_account(pumps, folder):
    client = enrolled(pumps, folder)
    assert "UNRECOGNIZED_NAME" in client.refused(sni="other.example")
    assert "MISSING_EXTENSION" in client.refused(sni=None, host="pumps.example", version=TLS13)
    assert "HANDSHAKE_FAILURE" in client.refused(sni=None, host="pumps.example", version=TLS12)
    assert client.whoami(sni="PUMPS.example").status == 200


@pytest.mark.parametrize("policy, whoami, enroll", [("enroll", 200, 201), ("read", 200, 201),
                                                    ("read+report", 200, 201)])
def test_row_2_without_a_certificate_the_policy_decides(pumps, folder, policy, whoami, enroll):
    pumps.change("PATCH", A, {"policy": policy})
    client = Client(pumps, folder, "pump-1")
    answer = client.whoami()
    assert answer.status == whoami and answer.json["credential"] is None
    assert answer.json["policy"] == policy
    assert client.call("POST", "/v1/rotate", {"csr": client.csr, "signature": "AAAA"}).status == 403
    assert client.enroll(token_for(pumps)).status == enroll


def test_row_2_policy_none_refuses_the_handshake(pumps, folder):
    pumps.change("PATCH", A, {"policy": "none"})
    client = Client(pumps, folder, "pump-1")
    assert "CERTIFICATE_REQUIRED" in client.refused(version=TLS13)
    assert "HANDSHAKE_FAILURE" in client.refused(version=TLS12)


@pytest.mark.parametrize("automatic, status", [("pending", "PENDING_ACTIVATION"), ("active", "ACTIVE")])
def test_row_3_an_unknown_certificate_registers_itself(pumps, folder, automatic, status):
    ca = client_pki.Ca("their CA")
    answer = pumps.call("POST", f"{A}/cas", {"certificate": ca.pem, "mode": "SNI_ONLY",
                                             "auto_registration": automatic})
    assert answer.status == 201
    client = Client(pumps, folder, "pump-3")
    cert = ca.issue("pump-3", client.key)
    client.use(cert)
    with pytest.raises((ssl.SSLError, OSError)):
        client.whoami()  # the first connection only registers it
    path = f"{A}/credentials/{client_pki.sha256(cert)}"
    wait_until(lambda: pumps.get(path).status == 200, "it is registered")
    found = pumps.get(path).json
    assert (found["status"], found["source"], found["device"]) == (status, "auto", "pump-3")
    if status == "PENDING_ACTIVATION":
        assert "BAD_CERTIFICATE" in client.refused()
        assert pumps.change("PATCH", path, {"status": "ACTIVE"}).status == 200
    assert client.whoami().json["device"] == "pump-3"
    # An attacker who has the certificate, which is public, but not its key.
    attacker = Client(pumps, folder, "x")
    stolen = ca.issue("pump-4", public_key=client_pki.new_key().public_key())
    attacker.pair = client_pki.write_pair(folder, "stolen", stolen, attacker.key)
    with pytest.raises(ssl.SSLError):
        attacker.whoami()  # OpenSSL's own client does not even send it
    assert pumps.get(f"{A}/credentials/{client_pki.sha256(stolen)}").status == 404


def test_row_4_unknown_certificates_are_refused(pumps, folder):
    client = Client(pumps, folder, "x")
    client.use(client_pki.certificate("x", client.key))
    for version in (TLS12, TLS13):
        assert "UNKNOWN_CA" in client.refused(version=version)
    client.use(pumps.ca.issue("x", client.key))  # of the service's own CA, never registered just in time
    assert "UNKNOWN_CA" in client.refused()
    assert pumps.get(f"{A}/credentials").json["credentials"] == []


def test_row_5_a_certificate_is_used_where_it_is_registered(pumps, folder):
    make(pumps, "valves")
    client = own(pumps, folder)
    assert client.whoami().json["account"] == "pumps"
    assert "UNKNOWN_CA" in client.refused(sni="valves.example")
    pumps.call("POST", f"{B}/credentials",
               {"certificate": client_pki.pem(client.cert), "status": "ACTIVE"})
    assert client.whoami(sni="valves.example").json["account"] == "valves"
    assert client.whoami().json["account"] == "pumps"
    answer = client.whoami(host="valves.example")
    assert answer.status == 421


def test_row_6_each_status_has_its_alert(pumps, folder):
    make(pumps, "valves")
    client = own(pumps, folder)
    assert client.whoami().json["status"] == "ACTIVE"
    pumps.change("PATCH", client.path, {"status": "INACTIVE"})
    for version in (TLS12, TLS13):
        assert "BAD_CERTIFICATE" in client.refused(version=version)
    pumps.call("POST", f"{client.path}/transfer", {"to": "valves"})
    assert "BAD_CERTIFICATE" in client.refused()
    pumps.call("POST", f"{client.path}/cancel")
    pumps.change("PATCH", client.path, {"status": "ACTIVE"})
    assert client.whoami().status == 200
    pumps.change("PATCH", client.path, {"status": "REVOKED"})
    for version in (TLS12, TLS13):
        assert "CERTIFICATE_REVOKED" in client.refused(version=version)


def test_row_7_an_expired_certificate_is_refused(pumps, folder):
    end = datetime.datetime.utcnow() + datetime.timedelta(seconds=3)
    client = own(pumps, folder, end=end)
    assert client.whoami().status == 200
    time.sleep(4)
    assert "CERTIFICATE_EXPIRED" in client.refused()


# ---- enrolment ---------------------------------------------------------------------------------------


def test_a_device_enrols_once_with_a_token(pumps, folder, signer):
    client = Client(pumps, folder, "pump-7")
    token = token_for(pumps, group="lab")
    answer = client.enroll(token)
    assert answer.status == 201
    assert answer.json["certificate"].count("BEGIN CERTIFICATE") == 2
    client.use(answer.json["certificate"])
    me = client.whoami().json
    assert me["device"] == "pump-7" and me["credential"] == answer.json["credential"]
    assert pumps.get(f"{A}/devices/pump-7").json["group"] == "lab"
    client.pair = None
    again = client.enroll(token)  # its answer was lost
    assert again.status == 201 and again.json == answer.json
    assert [r["verb"] for r in signer.asked].count("issue") == 1
    other = Client(pumps, folder, "pump-8")
    assert other.enroll(token).status == 403
    assert pumps.get(f"{A}/devices/pump-8").status == 404


def test_a_token_used_twice_at_the_same_moment_enrols_one_device(pumps, folder):
    token = token_for(pumps)
    clients = [Client(pumps, folder, f"pump-{i}") for i in range(8)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda c: c.enroll(token), clients))
    assert sorted(a.status for a in answers) == [201] + [403] * 7
    assert len(pumps.get(f"{A}/devices").json["devices"]) == 1
    assert len(pumps.get(f"{A}/credentials").json["credentials"]) == 1


def test_a_bad_enrolment_changes_nothing(pumps, folder):
    make(pumps, "valves")
    token = token_for(pumps)
    good = Client(pumps, folder, "pump-1")
    other = Client(pumps, folder, "pump-1")
    forged = other.csr_der[:-1] + bytes([other.csr_der[-1] ^ 1])
    bad = [
        ({"csr": "x"}, 400), ({"csr": ""}, 400), ({"csr": good.csr + good.csr}, 400),
        ({"csr": client_pki.pem(client_pki.self_signed("x")[0])}, 400),
        ({"device": ""}, 400), ({"device": "a/b"}, 400), ({"device": "x" * 129}, 400),
        ({"device": "' OR 1=1"}, 400), ({"token": "x"}, 403), ({"token": token[:-1]}, 403),
        ({"token": "hfe_" + "A" * 43}, 403), ({"extra": 1}, 400),
    ]
    import base64
    pem = base64.encodebytes(forged).decode()
    bad.append(({"csr": "-----BEGIN CERTIFICATE REQUEST-----\n" + pem
                 + "-----END CERTIFICATE REQUEST-----\n"}, 400))
    for change, status in bad:
        body = {"csr": good.csr, "device": "pump-1", "token": token, **change}
        answer = good.call("POST", "/v1/enroll", body)
        assert answer.status == status, (change, answer.raw)
    assert good.enroll().status == 403  # without a token
    assert good.call("POST", "/v1/enroll", {"csr": good.csr, "device": "pump-1", "token": token},
                     sni="valves.example").status in (403, 409)  # of another account
    assert pumps.get(f"{A}/devices").json["devices"] == []
    assert good.enroll(token).status == 201  # the token is as good as new


def test_a_token_for_many_devices_does_not_take_over_one_in_the_field(pumps, folder):
    enrolled(pumps, folder, "pump-7")
    attacker = Client(pumps, folder, "pump-7")
    refused = attacker.enroll(token_for(pumps, uses=10))
    assert refused.status == 409 and "has another certificate" in refused.json["detail"]
    assert attacker.enroll(token_for(pumps, device="pump-8")).status == 403
    assert attacker.enroll(token_for(pumps, device="pump-7")).status == 201  # the operator wants it


def test_a_claim_certificate_enrols_devices_and_does_nothing_else(pumps, folder):
    claim = Client(pumps, folder, "line-1")
    answer = claim.enroll(token_for(pumps, kind="claim"))
    assert answer.status == 201
    claim.use(answer.json["certificate"])
    assert claim.whoami().json["kind"] == "claim"
    new_key, new_csr, = client_pki.new_key(), None
    new_csr, der = client_pki.csr(new_key)
    body = {"csr": new_csr, "device": "pump-9"}
    first = claim.call("POST", "/v1/enroll", body)
    assert first.status == 201
    assert claim.call("POST", "/v1/enroll", body).json == first.json
    other_csr, _ = client_pki.csr(client_pki.new_key())
    assert claim.call("POST", "/v1/enroll", {"csr": other_csr, "device": "pump-9"}).status == 409
    assert claim.call("POST", "/v1/rotate", {"csr": new_csr, "signature": "AAAA"}).status == 403
    pumps.change("PATCH", f"{A}/credentials/{answer.json['credential']}", {"status": "REVOKED"})
    assert "REVOKED" in claim.refused()


def test_a_claim_certificate_enrols_so_many_devices_an_hour(pumps, folder, signer):
    claim, other = claim_client(pumps, folder), claim_client(pumps, folder)
    key = client_pki.new_key()
    csr, _ = client_pki.csr(key)

    def enroll(device, by=claim):
        return by.call("POST", "/v1/enroll", {"csr": csr, "device": device})

    for i in range(120):
        assert enroll(f"pump-{i}").status == 201
    asked = len(signer.asked)
    refused = enroll("pump-120")
    assert refused.status == 429 and 0 < int(refused.headers["Retry-After"]) <= 3600
    assert "has enrolled 120 devices within an hour" in refused.json["detail"]
    assert pumps.get(f"{A}/devices/pump-120").status == 404 and len(signer.asked) == asked
    assert enroll("pump-7").status == 201  # its answer again, which costs no use
    assert len(signer.asked) == asked
    assert enroll("pump-120", other).status == 201  # another claim certificate has its own hour


def claim_client(api, folder):
    claim = Client(api, folder, "line-1")
    answer = claim.enroll(token_for(api, kind="claim"))
    assert answer.status == 201
    claim.path = f"{A}/credentials/{answer.json['credential']}"
    return claim.use(answer.json["certificate"])


@pytest.mark.parametrize("status", ["REVOKED", "INACTIVE"])
def test_a_device_that_was_shut_out_does_not_let_itself_in(pumps, folder, status):
    claim, device = claim_client(pumps, folder), enrolled(pumps, folder)
    pumps.change("PATCH", device.path, {"status": status})
    before = pumps.get(f"{A}/credentials").json
    new = Client(pumps, folder, "pump-7")
    for client in (new, device):  # with a new key, and with the old one
        client.pair = None
        body = {"csr": client.csr, "device": "pump-7"}
        for answer in (client.enroll(token_for(pumps, uses=10)), claim.call("POST", "/v1/enroll", body)):
            assert answer.status == 409 and "has another certificate" in answer.json["detail"]
    assert pumps.get(f"{A}/credentials").json == before
    answer = new.enroll(token_for(pumps, device="pump-7"))  # the operator wants it
    assert answer.status == 201
    assert new.use(answer.json["certificate"]).whoami().status == 200


def held(api, signer, requests, meanwhile=lambda: None):
    """The answers to requests that are all at the signer, or in its queue, at the same moment."""
    began = len(signer.asked)
    signer.is_free.clear()
    with concurrent.futures.ThreadPoolExecutor(len(requests)) as pool:
        answers = [pool.submit(request) for request in requests]
        wait_until(lambda: len(signer.asked) > began, "the signer is asked")
        time.sleep(0.5)  # the others are in the queue
        meanwhile()
        signer.is_free.set()
        return [answer.result() for answer in answers]


@pytest.mark.parametrize("by", ["claim", "tokens"])
def test_two_enrolments_of_one_device_that_wait_for_the_signer_are_one(pumps, folder, signer, by):
    clients = [Client(pumps, folder, "pump-9") for _ in range(3)]
    if by == "claim":
        claim = claim_client(pumps, folder)
        requests = [lambda c=c: claim.call("POST", "/v1/enroll", {"csr": c.csr, "device": "pump-9"})
                    for c in clients]
    else:
        requests = [lambda c=c, t=token_for(pumps): c.enroll(t) for c in clients]
    answers = held(pumps, signer, requests)
    assert sorted(a.status for a in answers) == [201, 409, 409]
    assert all("has another certificate" in a.json["detail"] for a in answers if a.status == 409)
    assert len(pumps.get(f"{A}/credentials?device=pump-9").json["credentials"]) == 1


def test_one_request_twice_at_the_signer_gets_one_certificate(pumps, folder, signer):
    claim, client = claim_client(pumps, folder), Client(pumps, folder, "pump-9")
    body = {"csr": client.csr, "device": "pump-9"}
    first, second = held(pumps, signer, [lambda: claim.call("POST", "/v1/enroll", body)] * 2)
    assert first.status == second.status == 201 and first.json == second.json
    assert len(pumps.get(f"{A}/credentials?device=pump-9").json["credentials"]) == 1


def test_what_is_revoked_while_the_signer_is_asked_enrols_nothing(pumps, folder, signer):
    claim, client = claim_client(pumps, folder), Client(pumps, folder, "pump-9")
    body = {"csr": client.csr, "device": "pump-9"}
    token = pumps.call("POST", f"{A}/enroll-tokens", {"uses": 5}).json
    path = f"{A}/enroll-tokens/{token['id']}"

    def delete_token():
        assert pumps.change("DELETE", path).status < 300

    def revoke_claim():
        assert pumps.change("PATCH", claim.path, {"status": "REVOKED"}).status == 200

    [answer] = held(pumps, signer, [lambda: client.enroll(token["token"])], delete_token)
    assert answer.status == 403 and "not valid any more" in answer.json["detail"]
    try:  # its connection is closed, which may be before the answer
        [answer] = held(pumps, signer, [lambda: claim.call("POST", "/v1/enroll", body)], revoke_claim)
        assert answer.status == 403
    except OSError:
        pass
    assert pumps.get(f"{A}/devices/pump-9").status == 404
    assert len(pumps.get(f"{A}/credentials").json["credentials"]) == 1


def test_a_ca_that_is_stopped_while_the_signer_is_asked_costs_the_device_nothing(pumps, folder, signer):
    old, client, token = enrolled(pumps, folder), Client(pumps, folder, "pump-9"), token_for(pumps)
    [ca] = pumps.get(f"{A}/cas").json["cas"]

    def set_ca(status):
        assert pumps.change("PATCH", f"{A}/cas/{ca['sha256']}", {"status": status}).status == 200

    new = Client(pumps, folder, "pump-7")
    for request in (lambda: client.enroll(token), lambda: rotate(old, key=new.key)[0]):
        [answer] = held(pumps, signer, [request], lambda: set_ca("INACTIVE"))
        assert answer.status == 503 and "cannot issue certificates" in answer.json["detail"]
        set_ca("ACTIVE")
        assert request().status == 201


def test_an_account_without_a_ca_issues_nothing(api, folder):
    make(api)
    client = Client(api, folder, "pump-1")
    answer = client.enroll(token_for(api))
    assert answer.status == 409 and "issues no certificates" in answer.json["detail"]


def test_a_signer_that_fails_costs_the_device_nothing(pumps, folder, signer):
    client = Client(pumps, folder, "pump-1")
    token = token_for(pumps)
    signer.failing = ("limit", "the quota of this day is used up")
    answer = client.enroll(token)
    assert answer.status == 429 and answer.headers["Retry-After"] == "3600"
    for error in ("key", "policy", "not-found", "state", "argument", "format", "storage", "busy"):
        signer.failing = (error, "/etc/holdfast/ca.key has mode 0644")
        answer = client.enroll(token)
        assert answer.status == 503 and answer.headers["Retry-After"], (error, answer.raw)
        assert answer.json["detail"].startswith("the service cannot issue certificates"), answer.raw
    assert pumps.get(f"{A}/credentials").json["credentials"] == []
    signer.failing = None
    assert client.enroll(token).status == 201


# ---- rotation ----------------------------------------------------------------------------------------


def rotate(client, key=None):
    """Ask for the next certificate; returns the answer and the client that has it."""
    after = Client(client.api, client.folder, client.name)
    after.key = key or after.key
    after.csr, after.csr_der = client_pki.csr(after.key)
    signature = client_pki.renewal(client.key, after.csr_der)
    import base64
    answer = client.call("POST", "/v1/rotate",
                         {"csr": after.csr, "signature": base64.b64encode(signature).decode()})
    if answer.status == 201:
        after.sha = answer.json["credential"]
        after.path = f"{A}/credentials/{after.sha}"
        after.use(answer.json["certificate"])
    return answer, after


def test_a_rotation_in_the_safe_order(pumps, folder, signer):
    old = enrolled(pumps, folder)
    asked = pumps.call("POST", f"{old.path}/request-rotation")
    assert asked.json["is_rotation_requested"] is True
    answer = old.whoami()
    assert answer.headers["Holdfast-Rotate"] == "requested"
    assert answer.json["is_rotation_requested"] is True
    answer, new = rotate(old)
    assert answer.status == 201 and signer.asked[-1]["verb"] == "renew"
    assert pumps.get(new.path).json["is_confirmed"] is False
    assert old.whoami().status == 200  # until the new one is seen
    assert pumps.get(old.path).json["retires"] is None
    me = new.whoami()
    assert me.json["device"] == "pump-7" and "Holdfast-Rotate" not in me.headers
    wait_until(lambda: pumps.get(new.path).json["is_confirmed"], "it is confirmed")
    assert pumps.get(old.path).json["retires"] is not None
    assert old.whoami().status == 200  # for a day


def test_a_rotation_whose_answer_was_lost_gets_the_same_certificate(pumps, folder, signer):
    old = enrolled(pumps, folder)
    first, new = rotate(old)
    again, _ = rotate(old, key=new.key)
    assert first.status == again.status == 201
    assert first.json["credential"] == again.json["credential"]
    assert [r["verb"] for r in signer.asked].count("renew") == 1


def test_a_bad_rotation_changes_nothing(pumps, folder):
    import base64
    old = enrolled(pumps, folder)
    other = Client(pumps, folder, "x")
    good = base64.b64encode(client_pki.renewal(old.key, other.csr_der)).decode()
    for body, status in (
            ({"csr": other.csr, "signature": "AAAA"}, 403),
            ({"csr": other.csr, "signature": "?"}, 400),
            ({"csr": other.csr, "signature": ""}, 403),
            ({"csr": other.csr}, 400),
            ({"csr": old.csr, "signature": base64.b64encode(
                client_pki.renewal(old.key, old.csr_der)).decode()}, 403),
            ({"csr": other.csr, "signature": base64.b64encode(
                client_pki.renewal(other.key, other.csr_der)).decode()}, 403),
            ({"csr": other.csr, "signature": good, "device": "pump-8"}, 400)):
        answer = old.call("POST", "/v1/rotate", body)
        assert answer.status == status, (body, answer.raw)
    assert len(pumps.get(f"{A}/credentials").json["credentials"]) == 1


def test_a_replaced_ca_issues_the_next_certificate(pumps, folder, signer):
    old = enrolled(pumps, folder)
    ca = signer.add_ca("pumps-2027", "pumps")
    assert pumps.call("POST", f"{A}/cas", {"signer_ca": "pumps-2027"}).status == 201
    answer, new = rotate(old)
    assert answer.status == 201 and signer.asked[-1]["verb"] == "issue"
    assert ca.pem in answer.json["certificate"]
    assert new.whoami().status == 200


def test_a_certificate_of_another_ca_rotates_to_one_of_ours(pumps, folder, signer):
    client = Client(pumps, folder, "pump-5")
    cert = client_pki.certificate("x", client.key)
    pumps.call("POST", f"{A}/credentials", {"certificate": client_pki.pem(cert), "status": "ACTIVE",
                                            "device": "pump-5"})
    client.use(cert)
    answer, new = rotate(client)
    assert answer.status == 201 and signer.asked[-1]["verb"] == "issue"
    assert new.whoami().json["device"] == "pump-5"


def test_a_rotation_that_costs_a_new_certificate_is_allowed_once_an_hour(pumps, folder, signer):
    old = own(pumps, folder, "pump-5", device="pump-5")
    first, new = rotate(old)
    assert first.status == 201 and signer.asked[-1]["verb"] == "issue"
    asked, before = len(signer.asked), pumps.get(f"{A}/credentials").json
    refused, _ = rotate(old)
    assert refused.status == 429 and 0 < int(refused.headers["Retry-After"]) <= 3600
    assert "once an hour is allowed" in refused.json["detail"]
    assert len(signer.asked) == asked and pumps.get(f"{A}/credentials").json == before
    again, _ = rotate(old, key=new.key)  # its answer again
    assert again.status == 201 and again.json["credential"] == first.json["credential"]
    assert rotate(new)[0].status == 201 and signer.asked[-1]["verb"] == "renew"
    signer.add_ca("pumps-2027", "pumps")  # nor by way of a CA that was replaced
    assert pumps.call("POST", f"{A}/cas", {"signer_ca": "pumps-2027"}).status == 201
    assert rotate(new)[0].status == 429


def test_a_certificate_request_is_verified_after_everything_else(pumps, folder, signer):
    """Who may not ask costs no signature: a request that is signed by another key gets the refusal of the token."""
    client, token = Client(pumps, folder, "pump-1"), token_for(pumps, device="pump-1")
    forged = client_pki.forged_csr()
    good = {"csr": forged, "device": "pump-1", "token": token}
    for change in ({"token": "hfe_" + 43 * "A"}, {"token": "x"}, {"device": "pump-2"}):
        answer = client.call("POST", "/v1/enroll", {**good, **change})
        assert answer.status == 403 and "token is not valid here" in answer.json["detail"], answer.raw
    answer = client.call("POST", "/v1/enroll", good)
    assert answer.status == 400 and "its signature was not made" in answer.json["detail"]
    assert client.enroll(token).status == 201  # the forged one cost no use
    answer = client.call("POST", "/v1/enroll", good)  # used up
    assert answer.status == 403 and "token is not valid here" in answer.json["detail"]
    assert len([r for r in signer.asked if r["verb"] == "issue"]) == 1


def test_revoking_a_certificate_revokes_those_that_were_rotated_from_it(pumps, folder):
    first = enrolled(pumps, folder)
    second = rotate(first)[1]
    assert second.whoami().status == 200
    third = rotate(second)[1]
    other = enrolled(pumps, folder, "pump-8")
    pumps.change("PATCH", first.path, {"status": "REVOKED", "reason": "stolen"})
    for client in (first, second, third):
        assert pumps.get(client.path).json["status"] == "REVOKED"
        assert "CERTIFICATE_REVOKED" in client.refused()
    assert other.whoami().status == 200


# ---- shut out ----------------------------------------------------------------------------------------


def test_a_revocation_ends_an_open_connection_within_a_second(pumps, folder):
    import socket
    client = enrolled(pumps, folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(*client.pair)
    address, port = pumps.device.split(":")
    with context.wrap_socket(socket.create_connection((address, int(port)), timeout=5),
                             server_hostname="pumps.example") as connection:
        request = b"GET /v1/whoami HTTP/1.1\r\nHost: pumps.example\r\n\r\n"
        connection.sendall(request)
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")
        pumps.change("PATCH", client.path, {"status": "REVOKED"})
        began = time.monotonic()
        connection.settimeout(5)
        try:
            while connection.recv(4096):
                pass
        except OSError:
            pass
        assert time.monotonic() - began < 1.0


def test_a_ticket_is_worth_nothing_after_a_revocation(pumps, folder):
    import socket
    client = enrolled(pumps, folder)
    for version in (TLS12, TLS13):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.minimum_version = context.maximum_version = version
        context.load_cert_chain(*client.pair)
        address, port = pumps.device.split(":")

        def connect(session=None):
            plain = socket.create_connection((address, int(port)), timeout=5)
            tls = context.wrap_socket(plain, server_hostname="pumps.example", session=session)
            tls.sendall(b"GET /v1/whoami HTTP/1.1\r\nHost: pumps.example\r\n\r\n")
            data = tls.recv(4096)
            return tls, data

        first, data = connect()
        assert data.startswith(b"HTTP/1.1 200")
        session = first.session
        first.close()
        second, data = connect(session)
        assert second.session_reused and data.startswith(b"HTTP/1.1 200")
        second.close()
        pumps.change("PATCH", client.path, {"status": "INACTIVE"})
        with pytest.raises(OSError):
            third, data = connect(session)
            assert data == b"", data
            raise ConnectionError("closed")
        pumps.change("PATCH", client.path, {"status": "ACTIVE"})
