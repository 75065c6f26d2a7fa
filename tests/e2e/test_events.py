"""GET /v1/events and `holdfast-admin fleet watch`: what happens is told once it is committed, to those who may see it, and
nobody who watches costs the others anything."""
import json

from kit import client_pki
from kit.events import Stream
from kit.reports import ONE, report

A = "/v1/accounts/pumps"


def test_try(api):
    assert api.call("POST", "/v1/accounts", {"name": "pumps", "snis": ["pumps.example"]}).status == 201
    s = Stream(api)
    cert, key = client_pki.self_signed("device")
    made = api.call("POST", f"{A}/credentials", {"certificate": client_pki.pem(cert), "status": "ACTIVE",
                                                 "device": "pump-7"})
    assert made.status == 201
    print(s.next())
    assert api.call("PATCH", f"{A}/credentials/{made.json['sha256']}", {"status": "REVOKED"}, If_Match="*").status == 200
    e = s.next()
    print(e)
    t = Stream(api, last_id="x")
    print(t.next(), t.next())
    assert 0
