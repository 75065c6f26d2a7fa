"""The operators' part of the API, with a real server and database: each route, and what it refuses."""
import concurrent.futures
import json
import os
import socket

import pytest

from kit import client_pki
from kit.api import Description, routes
from kit.processes import wait_until

A, B = "/v1/accounts/pumps", "/v1/accounts/valves"


def make(api, name="pumps", **more):
    answer = api.call("POST", "/v1/accounts", {"name": name, "snis": [f"{name}.example"], **more})
    assert answer.status == 201, answer.raw
    return answer


def registered(api, account=A, status="ACTIVE", **more):
    cert, key = client_pki.self_signed("device")
    answer = api.call("POST", f"{account}/credentials",
                      {"certificate": client_pki.pem(cert), "status": status, **more})
    assert answer.status == 201, answer.raw
    return f"{account}/credentials/{answer.json['sha256']}", cert, key


def log(api, account=None):
    return [e["entry"] for e in api.get(f"{account or '/v1'}/log?limit=1000").json["entries"]]


# ---- the description ---------------------------------------------------------------------------------


def test_every_route_is_described_with_its_role_and_nothing_else_is():
    description = Description()
    assert {(m, p) for m, p, _ in routes()} == description.operations()
    for method, path, role in routes():
        operation = description.document["paths"][path][method.lower()]
        assert operation.get("x-role", "none") == role, (method, path)


def test_every_change_needs_a_version_and_every_creation_takes_a_key():
    description = Description()
    for method, path, role in routes():
        item = description.document["paths"][path]
        names = {description.resolve(p)["name"]
                 for p in item.get("parameters", []) + item[method.lower()].get("parameters", [])}
        assert ("If-Match" in names) == (method in ("PATCH", "DELETE")), (method, path)


# ---- accounts ----------------------------------------------------------------------------------------


def test_an_account_is_made_changed_and_deleted(api):
    made = make(api)
    assert made.json["policy"] == "read" and made.json["snis"] == ["pumps.example"]
    assert api.get(A).json == made.json
    changed = api.change("PATCH", A, {"policy": "none", "snis": ["b.example", "A.example"]})
    assert changed.status == 200
    assert changed.json["policy"] == "none" and changed.json["snis"] == ["a.example", "b.example"]
    assert changed.etag != made.etag
    assert api.change("PATCH", A, {"snis": []}).json["snis"] == []
    assert [a["name"] for a in api.get("/v1/accounts").json["accounts"]] == ["pumps"]
    assert api.change("DELETE", A).status == 204
    assert api.get(A).status == 404
    actions = [e["action"] for e in log(api)]
    assert actions[0] == "account.create" and "account.delete" in actions
    assert all(e["actor"] == f"uid:{os.getuid()}" for e in log(api))


@pytest.mark.parametrize("body, status, words", [
    ({}, 400, '"name" is missing'),
    ({"name": ""}, 400, "name"),
    ({"name": "Pumps"}, 400, "name"),
    ({"name": "a" * 65}, 400, "at most 64 bytes"),
    ({"name": "x'; DROP TABLE account; --"}, 400, "name"),
    ({"name": 7}, 400, "expected a text"),
    ({"name": "x", "polic": "none"}, 400, 'unknown member "polic"'),
    ({"name": "x", "policy": "all"}, 400, "expected none, enroll, read or read+report"),
    ({"name": "x", "snis": ["not a name"]}, 400, "name"),
    ({"name": "x", "snis": "x.example"}, 400, "expected an array"),
    ({"name": "x", "snis": [1]}, 400, "expected a text"),
    ({"name": "x", "snis": ["pumps.example"]}, 409, "pumps.example"),
    ({"name": "pumps"}, 409, ""),
    ([], 400, ""),
])
def test_a_bad_account_is_refused_and_nothing_changes(api, body, status, words):
    make(api)
    before = log(api)
    answer = api.call("POST", "/v1/accounts", body)
    assert answer.status == status and words in answer.json["detail"], answer.raw
    assert [a["name"] for a in api.get("/v1/accounts").json["accounts"]] == ["pumps"]
    assert log(api) == before


def test_a_change_of_an_old_version_is_refused(api):
    old = make(api).etag
    assert api.call("PATCH", A, {"policy": "none"}).status == 428
    assert api.call("PATCH", A, {"policy": "none"}, If_Match=old).status == 200
    stale = api.call("PATCH", A, {"policy": "enroll"}, If_Match=old)
    assert stale.status == 412
    for value in ("x", '"x"', "W/" + old, "", '"1", "2"'):
        assert api.call("PATCH", A, {"policy": "enroll"}, If_Match=value).status == 412
    assert api.get(A).json["policy"] == "none"
    assert api.call("PATCH", A, {"policy": "read"}, If_Match="*").status == 200


# ---- pages -------------------------------------------------------------------------------------------


def test_pages_hold_every_row_once_in_order(api):
    names = [f"a{i:02}" for i in range(7)]
    for name in names:
        api.call("POST", "/v1/accounts", {"name": name})
    seen, target = [], "/v1/accounts?limit=3"
    while target:
        answer = api.get(target)
        seen += [a["name"] for a in answer.json["accounts"]]
        assert len(answer.json["accounts"]) <= 3
        target = answer.next()
    assert seen == names
    assert api.get("/v1/accounts?limit=7").next() is None


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "limit=", "after=-1",
                                   "after=99999999999999999999", "page=2", "limit=1&color=red",
                                   "%zz", "after=1%00"])
def test_a_bad_query_is_refused(api, query):
    assert api.get(f"/v1/accounts?{query}").status == 400


# ---- tokens and roles --------------------------------------------------------------------------------


def new_token(api, role, name=None):
    answer = api.call("POST", "/v1/tokens", {"name": name or role, "role": role})
    assert answer.status == 201
    return answer.json["token"], answer.json["id"]


def test_what_stands_for_none_in_the_store_cannot_be_asked_for(api):
    """A time of 0 would be a token without an end, a version of 0 any version, an empty device any device."""
    make(api)
    epoch = "1970-01-01T00:00:00Z"
    tokens, enroll = api.get("/v1/tokens").json, api.get(f"{A}/enroll-tokens").json
    assert api.call("POST", "/v1/tokens", {"name": "t", "role": "viewer", "expires": epoch}).status == 400
    assert api.call("POST", f"{A}/enroll-tokens", {"expires": epoch}).status == 400
    assert api.call("POST", f"{A}/enroll-tokens", {"device": ""}).status == 400
    assert (api.get("/v1/tokens").json, api.get(f"{A}/enroll-tokens").json) == (tokens, enroll)
    for version in ('"0"', '"00"', '"01"'):
        assert api.call("PATCH", A, {"policy": "none"}, If_Match=version).status == 412
    assert api.get(A).json["policy"] == "read"


def test_each_role_may_do_what_its_routes_say_and_no_more(api):
    make(api)
    ranks = ["viewer", "operator", "registrar", "admin"]
    tokens = {role: new_token(api, role)[0] for role in ranks}
    description = Description()
    for method, path, needed in routes():
        if needed == "none":
            continue
        target = (path.replace("{account}", "no-such-account").replace("{sha256}", "0" * 64)
                  .replace("{id}", "999"))
        body = {"name": "t", "role": "viewer"} if path == "/v1/tokens" and method == "POST" else None
        if "requestBody" in description.document["paths"][path][method.lower()] and body is None:
            body = None if method == "POST" else {"status": "ACTIVE"}
        for role in ranks:
            answer = api.call(method, target, body, token=tokens[role], If_Match='"1"')
            if ranks.index(role) < ranks.index(needed):
                assert answer.status in (400, 403), (method, path, role, answer.raw)
            elif path in ("/v1/publications", "/v1/backups", "/v1/restores"):
                assert answer.status == 403
            else:
                assert answer.status not in (401, 403), (method, path, role, answer.raw)


def test_without_a_good_token_nothing_is_told(api):
    make(api)
    token, number = new_token(api, "admin")
    assert api.get("/v1/accounts", token=token).status == 200
    for bad in ("", "x", token[:-1], token + "x", token.replace("hfa_", "hfe_"), "x" * 5000,
                "' OR 1=1 --"):
        answer = api.get("/v1/accounts", token=bad)
        assert answer.status in (401, 431), bad[:20]
        assert b"pumps" not in answer.raw
        if answer.status == 401:
            assert answer.headers["WWW-Authenticate"] == "Bearer"
    wait_until(lambda: api.get(f"/v1/tokens/{number}").json["last_used"], "its use is noted")
    assert api.get("/v1/nothing", token="").status == 404
    assert api.change("DELETE", f"/v1/tokens/{number}").status == 204
    assert api.get("/v1/accounts", token=token).status == 401
    listed = api.get("/v1/tokens")
    assert token.encode() not in listed.raw and listed.json["tokens"][0]["is_revoked"] is True
    assert token.encode() not in (api.folder / "fleet.db").read_bytes()


def test_an_expired_token_is_refused(api):
    answer = api.call("POST", "/v1/tokens",
                      {"name": "t", "role": "viewer", "expires": "2020-01-01T00:00:00Z"})
    if answer.status == 201:
        assert api.get("/v1/accounts", token=answer.json["token"]).status == 401
    else:
        assert answer.status == 400
    for expires in ("2020-01-01", "tomorrow", 7):
        assert api.call("POST", "/v1/tokens",
                        {"name": "u", "role": "viewer", "expires": expires}).status == 400


# ---- Idempotency-Key ---------------------------------------------------------------------------------


def test_a_request_sent_twice_is_done_once(api):
    first = api.call("POST", "/v1/accounts", {"name": "pumps"}, Idempotency_Key="k1")
    again = api.call("POST", "/v1/accounts", {"name": "pumps"}, Idempotency_Key="k1")
    assert (first.status, first.json, first.etag) == (again.status, again.json, again.etag)
    other = api.call("POST", "/v1/accounts", {"name": "valves"}, Idempotency_Key="k1")
    assert other.status == 409
    assert [a["name"] for a in api.get("/v1/accounts").json["accounts"]] == ["pumps"]
    assert api.call("POST", "/v1/accounts", {"name": "valves"},
                    Idempotency_Key="x" * 200).status == 400
    assert api.call("POST", "/v1/accounts", {"name": "valves"}, Idempotency_Key="k2").status == 201


def test_a_secret_is_never_kept_for_a_second_answer(api):
    body = {"name": "ci", "role": "viewer"}
    token = api.call("POST", "/v1/tokens", body, Idempotency_Key="k").json["token"]
    again = api.call("POST", "/v1/tokens", body, Idempotency_Key="k")
    assert again.status == 409 and "shown once" in again.json["detail"]
    for file in api.folder.glob("fleet.db*"):
        assert token.encode() not in file.read_bytes()
    assert len(api.get("/v1/tokens").json["tokens"]) == 1


# ---- CAs ---------------------------------------------------------------------------------------------


def test_a_ca_in_mode_default_needs_proof_of_possession(api):
    make(api)
    ca = client_pki.Ca()
    code = api.get(f"{A}/registration-code").json["registration_code"]
    proof = client_pki.pem(ca.issue(code, client_pki.new_key()))
    body = {"certificate": ca.pem, "mode": "DEFAULT", "proof": proof}
    wrong = {
        "missing": {k: v for k, v in body.items() if k != "proof"},
        "another code": {**body, "proof": client_pki.pem(ca.issue("0" * 64, client_pki.new_key()))},
        "another CA": {**body,
                       "proof": client_pki.pem(client_pki.Ca().issue(code, client_pki.new_key()))},
        "itself": {**body, "proof": ca.pem},
        "no CA": {**body, "certificate": client_pki.pem(client_pki.self_signed("x")[0])},
        "two": {**body, "certificate": ca.pem + client_pki.Ca("other").pem},
        "no mode": {"certificate": ca.pem},
        "bad mode": {**body, "mode": "default"},
        "proof without need": {**body, "mode": "SNI_ONLY"},
    }
    for what, bad in wrong.items():
        answer = api.call("POST", f"{A}/cas", bad)
        assert answer.status == 400, (what, answer.raw)
    assert api.get(f"{A}/cas").json["cas"] == []
    answer = api.call("POST", f"{A}/cas", {**body, "auto_registration": "pending"})
    assert answer.status == 201 and answer.json["sha256"] == ca.sha256
    shown = api.get(f"{A}/cas/{ca.sha256}")
    assert shown.json["certificate"] == ca.pem and shown.json["auto_registration"] == "pending"
    make(api, "valves")
    for mode in ("DEFAULT", "SNI_ONLY"):
        assert api.call("POST", f"{B}/cas", {**body, "mode": mode, **(
            {} if mode == "DEFAULT" else {"proof": None})}).status in (400, 409)
    assert api.call("POST", f"{B}/cas", {"certificate": ca.pem, "mode": "SNI_ONLY"}).status == 409
    changed = api.change("PATCH", f"{A}/cas/{ca.sha256}", {"status": "INACTIVE"})
    assert changed.json["status"] == "INACTIVE"
    assert api.change("PATCH", f"{A}/cas/{ca.sha256}", {"status": "REVOKED"}).status == 400
    assert api.change("DELETE", f"{A}/cas/{ca.sha256}").status == 204
    assert api.get(f"{A}/cas/{ca.sha256}").status == 404


def test_a_ca_in_mode_sni_only_may_be_in_several_accounts(api):
    ca = client_pki.Ca()
    for name in ("pumps", "valves"):
        make(api, name)
        assert api.call("POST", f"/v1/accounts/{name}/cas",
                        {"certificate": ca.pem, "mode": "SNI_ONLY"}).status == 201


def test_a_ca_of_the_signer_issues_for_its_account_only(api, signer):
    make(api)
    make(api, "valves")
    ca = signer.add_ca("pumps-2026", "pumps")
    assert api.call("POST", f"{B}/cas", {"signer_ca": "pumps-2026"}).status == 400
    assert api.call("POST", f"{A}/cas", {"signer_ca": "other"}).status == 404
    assert api.call("POST", f"{A}/cas", {"signer_ca": "pumps-2026", "mode": "DEFAULT"}).status == 400
    answer = api.call("POST", f"{A}/cas", {"signer_ca": "pumps-2026"})
    assert answer.status == 201
    assert answer.json["sha256"] == ca.sha256 and answer.json["signer_ca"] == "pumps-2026"
    assert api.get(A).json["issuing_ca"] == "pumps-2026"
    assert api.get(B).json["issuing_ca"] is None


# ---- certificates ------------------------------------------------------------------------------------


def test_a_certificate_is_registered_and_goes_through_its_statuses(api):
    make(api)
    path, cert, _ = registered(api, status="INACTIVE", device="pump-7")
    shown = api.get(path).json
    assert shown["certificate"] == client_pki.pem(cert)
    assert (shown["mode"], shown["device"], shown["status"]) == ("SNI_ONLY", "pump-7", "INACTIVE")
    for status in ("ACTIVE", "INACTIVE", "ACTIVE", "REVOKED"):
        assert api.change("PATCH", path, {"status": status}).json["status"] == status
    for status in ("ACTIVE", "INACTIVE"):
        refused = api.change("PATCH", path, {"status": status})
        assert refused.status == 409 and "REVOKED" in refused.json["detail"]
    for status in ("PENDING_TRANSFER", "PENDING_ACTIVATION", "NONE", "active"):
        assert api.change("PATCH", path, {"status": status}).status == 400
    assert [c["sha256"] for c in api.get(f"{A}/credentials?status=REVOKED").json["credentials"]] == [
        shown["sha256"]]
    assert api.get(f"{A}/credentials?device=pump-7").json["credentials"] != []
    assert api.get(f"{A}/credentials?device=pump-8").json["credentials"] == []
    assert api.get(f"{A}/credentials?status=X").status == 400


def test_a_certificate_with_a_ca_has_its_mode(api):
    make(api)
    ca = client_pki.Ca()
    api.call("POST", f"{A}/cas", {"certificate": ca.pem, "mode": "SNI_ONLY"})
    cert = ca.issue("pump-1", client_pki.new_key())
    answer = api.call("POST", f"{A}/credentials", {"certificate": client_pki.pem(cert)})
    assert answer.status == 201 and answer.json["status"] == "INACTIVE"
    again = api.call("POST", f"{A}/credentials", {"certificate": client_pki.pem(cert)})
    assert again.status == 409
    assert api.change("DELETE", f"{A}/cas/{ca.sha256}").status == 409


@pytest.mark.parametrize("text", ["", "x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                                  "\x00", "é" * 100])
def test_what_is_no_certificate_is_refused(api, text):
    make(api)
    assert api.call("POST", f"{A}/credentials", {"certificate": text}).status == 400
    assert api.get(f"{A}/credentials").json["credentials"] == []


def test_a_transfer_is_offered_accepted_rejected_and_cancelled(api):
    make(api)
    make(api, "valves")
    path, cert, _ = registered(api)
    there = f"{B}/credentials/{client_pki.sha256(cert)}"
    assert api.call("POST", f"{path}/transfer", {"to": "valves"}).status == 409  # it is ACTIVE
    api.change("PATCH", path, {"status": "INACTIVE"})
    assert api.call("POST", f"{path}/transfer", {"to": "no-such"}).status == 400
    for end, status in (("cancel", 200), ("reject", 204)):
        offered = api.call("POST", f"{path}/transfer", {"to": "valves", "message": "yours"})
        assert offered.json["status"] == "PENDING_TRANSFER"
        assert offered.json["transfer_to"] == "valves"
        assert api.get(there).status == 404  # only an offer
        place = path if end == "cancel" else there
        assert api.call("POST", f"{place}/{end}").status == status
        assert api.get(path).json["status"] == "INACTIVE"
    assert api.call("POST", f"{there}/accept").status == 404
    api.call("POST", f"{path}/transfer", {"to": "valves"})
    accepted = api.call("POST", f"{there}/accept")
    assert accepted.status == 200 and accepted.json["status"] == "INACTIVE"
    assert api.get(path).status == 404
    assert api.get(there).status == 200


def test_one_account_is_never_told_of_another(api):
    make(api)
    make(api, "valves")
    path, cert, _ = registered(api, device="pump-7")
    sha = client_pki.sha256(cert)
    token = api.call("POST", f"{A}/enroll-tokens").json["id"]
    for target in (f"{B}/credentials/{sha}", f"{B}/devices/pump-7", f"{B}/enroll-tokens/{token}"):
        assert api.get(target).status == 404
    for method, target, body in (
            ("PATCH", f"{B}/credentials/{sha}", {"status": "REVOKED"}),
            ("POST", f"{B}/credentials/{sha}/accept", None),
            ("POST", f"{B}/credentials/{sha}/cancel", None),
            ("POST", f"{B}/credentials/{sha}/request-rotation", None),
            ("PATCH", f"{B}/devices/pump-7", {"group": "x"}),
            ("DELETE", f"{B}/enroll-tokens/{token}", None)):
        assert api.call(method, target, body, If_Match="*").status == 404, target
    for part in ("credentials", "devices", "enroll-tokens", "cas", "log"):
        assert sha.encode() not in api.get(f"{B}/{part}").raw
        assert b"pump-7" not in api.get(f"{B}/{part}").raw
    assert api.get(path).json["status"] == "ACTIVE"


# ---- enrolment tokens, devices, log ------------------------------------------------------------------


def test_enrolment_tokens(api):
    make(api)
    made = api.call("POST", f"{A}/enroll-tokens", {"uses": 3, "device": "pump-7", "group": "lab",
                                                   "expires": "2099-01-01T00:00:00Z"})
    if made.status == 400:  # longer than the store allows
        made = api.call("POST", f"{A}/enroll-tokens", {"uses": 3, "device": "pump-7", "group": "lab"})
    assert made.status == 201 and made.json["uses"] == 3 and made.json["used"] == 0
    path = f"{A}/enroll-tokens/{made.json['id']}"
    assert "token" not in api.get(path).json
    assert made.json["token"].encode() not in api.get(f"{A}/enroll-tokens").raw
    for bad in ({"uses": 0}, {"uses": 1000001}, {"uses": "1"}, {"uses": 1.5}, {"device": "a b"},
                {"expires": "2020-01-01T00:00:00Z"}, {"kind": "x"}):
        assert api.call("POST", f"{A}/enroll-tokens", bad).status == 400, bad
    assert api.change("DELETE", path).status == 204
    assert api.get(path).json["is_revoked"] is True
    for number in ("x", "0", "99", "1e3", "-1", "9" * 30):
        assert api.get(f"{A}/enroll-tokens/{number}").status == 404


def test_devices_are_put_into_groups_and_deleted_last(api):
    make(api)
    credential, _, _ = registered(api, device="pump-7")
    path = f"{A}/devices/pump-7"
    assert api.get(path).json["group"] is None
    assert api.change("PATCH", path, {"group": "lab"}).json["group"] == "lab"
    assert api.change("PATCH", path, {"group": None}).json["group"] is None
    assert api.change("PATCH", path, {"group": "not a group"}).status == 400
    assert [d["id"] for d in api.get(f"{A}/devices").json["devices"]] == ["pump-7"]
    assert api.change("DELETE", path).status == 409
    api.change("PATCH", credential, {"status": "REVOKED"})
    assert api.change("DELETE", path).status == 204


def test_the_log_names_every_act(api):
    make(api)
    path, _, _ = registered(api, device="pump-7")
    api.change("PATCH", path, {"status": "REVOKED", "reason": "stolen"})
    entries = log(api)
    assert [e["sequence"] for e in entries] == list(range(1, len(entries) + 1))
    assert any("stolen" in str(e) for e in entries)
    assert log(api, A) and all(e in entries for e in log(api, A))
    assert api.get("/v1/log/seals").json["seals"] == []


# ---- the signer and the service ----------------------------------------------------------------------


def test_the_signer_is_asked_and_what_it_did_is_logged(api, signer, folder):
    assert api.get("/v1/signer").json == {"log_key": "00" * 32}
    assert api.call("POST", "/v1/signer/refresh").status == 200
    for bad in ("relative", str(folder / "missing"), "/etc/passwd"):
        assert api.call("POST", "/v1/publications", {"directory": bad}).status == 400
    answer = api.call("POST", "/v1/publications", {"directory": str(folder)})
    assert answer.status == 201 and answer.json["versions"]["timestamp"]["version"] == 7
    assert signer.folders == [os.path.realpath(folder)]
    asked = {"signer.refresh-asked", "publication.asked"}
    assert [e["action"] for e in log(api) if e["action"] not in asked] == ["signer.refresh", "publication"]
    for error, status in (("policy", 403), ("limit", 429), ("busy", 503), ("storage", 500)):
        signer.failing = (error, "not today, says the signer")
        answer = api.call("POST", "/v1/signer/refresh")
        assert answer.status == status
        assert ("not today" in answer.json["detail"]) == (status != 500)
    assert len([e for e in log(api) if e["action"] not in asked]) == 2
    for error in ("limit", "format", "busy"):
        signer.failing = (error, "not today, says the signer", "status")
        answer = api.get("/readyz")
        assert (answer.status, answer.json["detail"]) == (503, "not ready: signer: not today, says the signer")
    signer.failing = None
    signer.stop()
    assert api.get("/v1/status").json["log"]["entries"] == len(log(api))


def test_who_asked_the_signer_is_in_the_log_before_it_acts(api, signer, folder):
    for path, body, action, details in (
            ("/v1/signer/refresh", None, "signer.refresh-asked", {}),
            ("/v1/publications", {"directory": str(folder)}, "publication.asked",
             {"directory": str(folder)})):
        asked, entries = len(signer.asked), len(log(api))
        signer.is_free.clear()
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            answer = pool.submit(api.call, "POST", path, body)
            wait_until(lambda: len(signer.asked) > asked, "the signer is asked")
            assert [e["action"] for e in log(api)[entries:]] == [action]
            assert log(api)[-1]["actor"].startswith("uid:") and log(api)[-1]["details"] == details
            signer.is_free.set()
            assert answer.result().status in (200, 201)
        assert len(log(api)) == entries + 2
    entries = len(log(api))
    assert api.call("POST", "/v1/publications", {"directory": "relative"}).status == 400
    assert len(log(api)) == entries


def test_the_state_survives_a_restart(api):
    make(api)
    path, _, _ = registered(api)
    api.stop()
    api.start()
    assert api.get(path).json["status"] == "ACTIVE"


# ---- bad requests ------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"name":"a","name":"b"}', b'{"name":"\xff"}',
                                  b'{"name":"a"} x', b'{"name":1e400}', b"[" * 10000,
                                  b'{"name":"a\\u0000b"}', b"\xef\xbb\xbf{}"])
def test_what_is_no_json_object_is_refused(api, body):
    answer = api.call("POST", "/v1/accounts", body)
    assert answer.status == 400
    assert api.get("/v1/accounts").json["accounts"] == []


def test_other_bodies_types_and_methods_are_refused(api):
    make(api)
    assert api.call("POST", "/v1/accounts", "name=x", Content_Type="text/plain").status == 415
    assert api.call("POST", "/v1/accounts", "x" * 70000).status == 413
    assert api.call("POST", f"{A}/credentials/{'0' * 64}/accept", {"x": 1}).status == 400
    assert api.call("PUT", "/v1/accounts", {}).status == 405
    assert api.get("/v1/" + "a" * 2044).status == 404  # the longest target
    answer = api.call("DELETE", "/v1/accounts")
    assert answer.status == 405 and answer.headers["Allow"] == "GET, POST"
    for target in ("/v1/", "/v1/accounts/", "/v1/accounts/a/b/c", "/v1/accounts/..%2f", "/v2/accounts",
                   "/v1/accounts/%00", f"/v1/accounts/{'a' * 300}", "/v1/accounts//cas"):
        assert api.get(target).status in (400, 404), target


@pytest.mark.parametrize("text", ["' OR '1'='1", "\"; --", "%", "_", "\\", "🔑", "a\nb"])
def test_no_text_is_taken_for_sql(api, text):
    from urllib.parse import quote
    make(api)
    for target in (f"/v1/accounts/{quote(text, safe='')}", f"{A}/devices/{quote(text, safe='')}",
                   f"{A}/credentials/{quote(text, safe='')}"):
        assert api.get(target).status == 404
    assert api.get(f"{A}/credentials?device={quote(text, safe='')}").json["credentials"] == []
    assert api.call("POST", "/v1/accounts", {"name": text}).status == 400


# ---- what HTTP itself refuses, health, backups -----------------------------------------------------


def test_what_http_refuses_is_a_problem_too(api):
    """A request that the API never sees: too long a head or body, no length, no method of HTTP."""
    for status, request in [
            (400, b"GET /v1/accounts HTTP/1.1\r\n\r\n"),
            (411, b"POST /v1/accounts HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"),
            (413, b"POST /v1/accounts HTTP/1.1\r\nHost: x\r\nContent-Length: 999999\r\n\r\n"),
            (414, b"GET /v1/" + b"x" * 5000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"),
            (417, b"POST /v1/accounts HTTP/1.1\r\nHost: x\r\nExpect: y\r\nContent-Length: 2\r\n\r\n{}"),
            (431, b"GET /v1/accounts HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 9000 + b"\r\n\r\n"),
            (505, b"GET /v1/accounts HTTP/3.7\r\nHost: x\r\n\r\n")]:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(20)
            client.connect(str(api.socket))
            client.sendall(request)
            said = b""
            while more := client.recv(65536):
                said += more
        head, _, body = said.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 %d " % status), (status, head)
        assert b"\r\nContent-Type: application/problem+json\r\n" in head, (status, head)
        problem = json.loads(body)
        assert problem["status"] == status and len(problem["detail"]) > 10
        assert set(problem) == {"type", "title", "status", "detail", "code"}


def test_health_is_told_to_everyone_and_readiness_to_viewers(api):
    assert api.get("/healthz").json == {"status": "ok"}
    assert api.get("/healthz", token="").json == {"status": "ok"}
    assert api.get("/readyz").json == {"status": "ready"}
    assert api.get("/readyz", token="").status == 401
    assert api.get("/readyz", token=new_token(api, "viewer")[0]).status == 200


def test_a_backup_and_a_restore(api):
    make(api)
    file = api.folder / "backup.db"
    answer = api.call("POST", "/v1/backups", {"file": str(file)})
    assert answer.status == 201 and answer.json["bytes"] == file.stat().st_size
    assert file.stat().st_mode & 0o777 == 0o600
    assert api.call("POST", "/v1/backups", {"file": str(file)}).status == 409
    assert api.call("POST", "/v1/backups", {"file": "backup.db"}).status == 400
    assert api.call("POST", "/v1/backups", {"file": "/no/such/folder/b"}).status == 409
    admin = new_token(api, "admin")[0]
    assert api.call("POST", "/v1/backups", {"file": str(file)}, token=admin).status == 403
    assert api.call("POST", "/v1/restores", {"file": str(file)}, token=admin).status == 403
    make(api, "later")
    assert api.call("POST", "/v1/restores", {"file": "/no/such/file"}).status == 409
    assert api.get("/v1/accounts/later").status == 200
    answer = api.call("POST", "/v1/restores", {"file": str(file)})
    assert answer.status == 201 and answer.json["entries"] > answer.json["state_of_entry"] > 0
    assert api.get("/v1/accounts/later").status == 404 and api.get(A).status == 200
