"""holdfast simulate: what breaks on some day, of what a device has seen or of a bundle by itself."""
import datetime
import json
import sqlite3
from pathlib import Path

import agent
import json_schema
import net_pki
import net_servers
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

NOW = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
DAY = datetime.timedelta(days=1)
ENDPOINT = "mqtts://a.test:8883"
MOZILLA = Path("/usr/share/ca-certificates/mozilla")
AMAZON = ["Amazon_Root_CA_1", "Amazon_Root_CA_2", "Amazon_Root_CA_3", "Amazon_Root_CA_4",
          "Starfield_Services_Root_Certificate_Authority_-_G2"]
G2 = "568d6905a2c88708a4b3025190edcfedb1974a606a13c6e5290fcb2ae63edab5"


def day(when):
    return when.strftime("%Y-%m-%d")


def simulate(*words, code=0):
    outcome = agent.run("simulate", *words)
    assert (outcome.code, outcome.err) == (code, ""), outcome
    return outcome.out


def simulate_json(*words, code=0):
    found = json.loads(simulate(*words, "--json", code=code))
    json_schema.check(found, "simulate.schema.json")
    assert found["breaks"] == (code == 4)
    return found


# ---- the real roots, by themselves -----------------------------------------------------------------


@pytest.fixture
def amazon(tmp_path):
    files = [MOZILLA / f"{name}.crt" for name in AMAZON]
    if not all(file.exists() for file in files):
        pytest.skip("Debian's ca-certificates are not installed")
    pem = tmp_path / "amazon.pem"
    pem.write_text("".join(file.read_text() for file in files))
    return pem


def test_the_first_trouble_of_amazons_roots(amazon):
    found = simulate_json("--bundle", amazon, "--at", "2038-01-16", code=4)
    assert found["first_trouble"] == "2038-01-01T00:00:00Z"
    assert [(f["then"], f["cause"], f["trouble_from"]) for f in found["forecasts"]] == [
        ("breaks", "expiry", "2038-01-01T00:00:00Z"),
        ("holds", "expiry", "2038-01-17T00:00:01Z"),
    ] + 3 * [("holds", "expiry", "2040-05-26T00:00:01Z")]
    assert found["knows_endpoints"] is False


@pytest.mark.parametrize("at, code, n_broken", [
    ("2037-12-31", 0, 0), ("2037-12-31T23:59:59Z", 0, 0), ("2038-01-01T00:00:00Z", 4, 1),
    ("2038-01-16", 4, 1), ("2038-01-17T00:00:00Z", 4, 1), ("2038-01-17", 4, 2),
    ("2038-01-19T03:14:08Z", 4, 2), ("2040-05-25", 4, 2), ("2040-05-26", 4, 5), ("2106-02-08", 4, 5),
])
def test_the_roots_go_on_their_days(amazon, at, code, n_broken):
    text = simulate("--bundle", amazon, "--at", at, code=code)
    assert sum(line.startswith("breaks ") for line in text.splitlines()) == n_broken
    assert "first day of trouble: 2038-01-01, any server under" in text
    assert "assumed  servers renew their certificates and intermediates under the same roots" in text


def test_planned_distrust_is_a_note_where_no_endpoint_was_seen(amazon, tmp_path):
    notes = [{"sha256": G2, "distrust_after": "2027-04-15T00:00:00Z"}]
    description = {"holdfast": {"set": "amazon-iot", "profile": "full", "version": 1,
                                "anchors": notes}}
    file = tmp_path / "description.json"
    for content in (description, {"set": "amazon-iot", "custom": description}):
        file.write_text(json.dumps(content))
        found = simulate_json("--bundle", amazon, "--description", file, "--at", "2030-01-01")
        (note,) = found["notes"]
        assert (note["kind"], note["time"]) == ("distrust", "2027-04-15T00:00:00Z")
        assert "Starfield" in note["root"]
    text = simulate("--bundle", amazon, "--description", file, "--at", "2030-01-01")
    assert "note     certificates issued after 2027-04-15T00:00:00Z are not accepted through" in text


# ---- a device ---------------------------------------------------------------------------------------


@pytest.fixture
def roots():
    return (agent.Root("Long", start=NOW - DAY, end=NOW + 4000 * DAY),
            agent.Root("Short", start=NOW - DAY, end=NOW + 1000 * DAY))


@pytest.fixture
def device(tmp_path, roots):
    return agent.Device(tmp_path).init_with_roots(*(root.pem for root in roots),
                                                  options=("--endpoint", ENDPOINT))


def has_seen(device, *roots):
    """As a check writes it down (client/core/state_endpoints.c)."""
    now = int(NOW.replace(tzinfo=datetime.timezone.utc).timestamp())
    words = [ENDPOINT, now, now - 30 * 86400, now + 60 * 86400, *(root.spki_sha256 for root in roots)]
    with sqlite3.connect(device.database) as connection:
        connection.execute("INSERT OR REPLACE INTO value VALUES ('endpoint.0.rsa', ?)",
                           (" ".join(map(str, words)),))
    connection.close()


def test_an_endpoint_that_was_seen_holds_as_long_as_any_of_its_roots(device, roots):
    has_seen(device, *roots)
    found = simulate_json("-s", device.state, "--at", day(NOW + 2000 * DAY))
    (forecast,) = found["forecasts"]
    assert (forecast["who"], forecast["then"]) == (f"{ENDPOINT} (RSA)", "holds")
    assert "CN=Long" in forecast["through"] and "CN=Long" in forecast["root"]
    assert found["first_trouble"][:10] == day(NOW + 4000 * DAY)
    has_seen(device, roots[1])
    text = simulate("-s", device.state, "--at", day(NOW + 2000 * DAY), code=4)
    assert f"breaks   {ENDPOINT} (RSA); {day(NOW + 1000 * DAY)}: its last root" in text
    assert f"first day of trouble: {day(NOW + 1000 * DAY)}, {ENDPOINT} (RSA)\n" in text


def test_a_bundle_in_a_file_is_judged_by_what_the_device_has_seen(device, roots, tmp_path):
    has_seen(device, *roots)
    new = tmp_path / "new.pem"
    new.write_text(roots[1].pem)
    words = ("-s", device.state, "--endpoint", ENDPOINT, "--bundle", new)
    assert simulate_json(*words, "--at", day(NOW + 500 * DAY))["forecasts"][0]["then"] == "holds"
    simulate_json(*words, "--at", day(NOW + 2000 * DAY), code=4)
    new.write_text(agent.Root("Other").pem)
    (forecast,) = simulate_json(*words, "--at", day(NOW), code=4)["forecasts"]
    assert (forecast["cause"], forecast["root"]) == ("missing", None)


EMAIL_ONLY = {"critical": x509.ExtendedKeyUsage([net_pki.ExtendedKeyUsageOID.EMAIL_PROTECTION])}
ONE_NAME = {"critical": x509.NameConstraints([x509.DNSName("b.test")], None)}


@pytest.mark.parametrize("old, new, then, cause, why", [
    ({}, {}, "holds", "expiry", None),
    (ONE_NAME, ONE_NAME, "holds", "expiry", None),
    (ONE_NAME, {}, "holds", "expiry", None),
    ({"path_length": 1}, {"path_length": 2}, "holds", "expiry", None),
    ({}, ONE_NAME, "at risk", "unproved", "but its name constraints may not allow it; check it"),
    ({"path_length": 1}, {"path_length": 0}, "at risk", "unproved", "but its path length may not allow it; check it"),
    ({}, {"critical": x509.PolicyConstraints(0, None)}, "at risk", "unproved",
     "but its certificate policies may not allow it; check it"),
    ({}, {"common_name": "B"}, "at risk", "unproved", "but the chain may not lead to its subject; check it"),
    ({}, EMAIL_ONLY, "breaks", "refused", "its extendedKeyUsage does not allow a TLS server"),
    ({}, {"start": NOW + 9 * DAY}, "breaks", "refused", f"not yet valid, only from {day(NOW + 9 * DAY)} on"),
])
def test_another_certificate_of_a_key_that_was_seen(tmp_path, old, new, then, cause, why):
    def root(common_name="A", start=NOW - DAY, end=NOW + 4000 * DAY, **limits):
        return agent.Root(common_name, start=start, end=end, key=key, **limits)

    key = ec.generate_private_key(ec.SECP256R1())
    device = agent.Device(tmp_path).init_with_roots(root(**old).pem, options=("--endpoint", ENDPOINT))
    has_seen(device, root())
    file = tmp_path / "new.pem"
    file.write_text(root(**new).pem)
    (forecast,) = simulate_json("-s", device.state, "--bundle", file, "--at", day(NOW),
                                code=0 if then == "holds" else 4)["forecasts"]
    assert (forecast["then"], forecast["cause"]) == (then, cause)
    if why:
        subject = f'O=Holdfast Test, CN={new.get("common_name", "A")}'
        assert forecast["why"].startswith(f'trust anchor "{subject}": ') and why in forecast["why"]
        text = simulate("-s", device.state, "--bundle", file, "--at", day(NOW), code=4)
        assert f'{then:8} {ENDPOINT} (RSA); {day(NOW)}: {forecast["why"]}\n' in text


def test_a_root_that_validates_no_server_holds_none(tmp_path):
    file = tmp_path / "new.pem"
    file.write_text(agent.Root("Mail", end=NOW + 4000 * DAY, **EMAIL_ONLY).pem)
    says = "its extendedKeyUsage does not allow a TLS server"
    text = simulate("--bundle", file, "--at", day(NOW), code=4)
    assert f'note     no server is validated through "O=Holdfast Test, CN=Mail": {says}\n' in text
    file.write_text(file.read_text() + agent.Root("Web", end=NOW + 4000 * DAY).pem)
    found = simulate_json("--bundle", file, "--at", day(NOW))
    assert [f["who"] for f in found["forecasts"]] == ['any server under "O=Holdfast Test, CN=Web"']
    assert found["notes"] == [{"kind": "refused", "root": "O=Holdfast Test, CN=Mail", "time": None, "why": says}]


@pytest.mark.parametrize("start, end, says", [
    (-900, -400, "it expired on "), (400, 900, "it is not valid before "),
])
def test_a_root_that_is_not_in_date_is_named(tmp_path, start, end, says):
    file = tmp_path / "new.pem"
    file.write_text(agent.Root("A", start=NOW + start * DAY, end=NOW + end * DAY).pem)
    text = simulate("--bundle", file, "--at", day(NOW), code=4)
    assert f'note     no server is validated through "O=Holdfast Test, CN=A": {says}' in text


def test_an_intermediate_is_not_silently_taken_for_a_root(tmp_path):
    """The second certificate that `openssl s_client -showcerts` prints."""
    file = tmp_path / "new.pem"
    issuer = net_pki.Authority("A", end=NOW + 4000 * DAY)
    net_pki.write_pem(file, net_pki.Authority("B", issuer=issuer, end=NOW + 4000 * DAY).cert)
    text = simulate("--bundle", file, "--at", day(NOW), code=0)
    assert ('note     devices reject this bundle: "O=Holdfast Test, CN=B" is no root: it is issued by '
            '"O=Holdfast Test, CN=A"') in text
    note, = simulate_json("--bundle", file, "--at", day(NOW))["notes"]
    assert (note["kind"], note["root"]) == ("rejected", "O=Holdfast Test, CN=B")


def test_an_endpoint_that_the_device_does_not_know_is_looked_at(device, tmp_path):
    authority = net_pki.Authority("Server Root", start=NOW - DAY, end=NOW + 900 * DAY)
    cert, key = authority.leaf("localhost", start=NOW - DAY, end=NOW + 90 * DAY)
    roots = net_pki.write_pem(tmp_path / "server-root.pem", authority.cert)
    tls = net_servers.tls_context(net_pki.write_pem(tmp_path / "leaf.pem", cert),
                                  net_pki.write_key(tmp_path / "leaf.tmpkey", key))
    with net_servers.RawServer(tls=tls) as server:
        endpoint = f"tls://localhost:{server.port}"
        words = ("--endpoint", endpoint, "--bundle", roots)
        (forecast,) = simulate_json(*words, "--at", day(NOW + 500 * DAY))["forecasts"]
        assert (forecast["who"], forecast["then"]) == (f"{endpoint} (ECC)", "holds")
        assert forecast["trouble_from"][:10] == day(NOW + 900 * DAY)
        simulate_json(*words, "--at", day(NOW + 1000 * DAY), code=4)
        limited = tmp_path / "limited.pem"
        net_pki.write_pem(limited, net_pki.Authority("Server Root", key=authority.key, **ONE_NAME).cert)
        (forecast,) = simulate_json("--endpoint", endpoint, "--bundle", limited, "--at", day(NOW), code=4)["forecasts"]
        assert (forecast["cause"], forecast["why"]) == ("refused", (
            'certificate 0 "O=Holdfast Test, CN=localhost": its name "localhost" is not one that '
            '"O=Holdfast Test, CN=Server Root" may issue for (its name constraints do not permit it)'))
        (forecast,) = simulate_json("-s", device.state, "--endpoint", endpoint, "--at", day(NOW),
                                    code=4)["forecasts"]
        assert (forecast["cause"], forecast["why"]) == ("missing", None)
    gone = agent.refused("simulate", *words, "--at", day(NOW))
    assert endpoint in gone and "refused" in gone
    assert "holdfast: --endpoint: " in agent.refused("simulate", "--bundle", roots, "--at", day(NOW),
                                                  "--endpoint", "localhost")


def test_an_endpoint_that_was_never_seen_is_said(device):
    found = simulate_json("-s", device.state, "--at", day(NOW + 500 * DAY))
    assert (found["knows_endpoints"], found["n_unseen"]) == (False, 1)
    text = simulate("-s", device.state, "--at", day(NOW + 500 * DAY))
    assert "no endpoint was seen, so every root counts as needed" in text
    sentence = agent.refused("simulate", "-s", device.state, "--at", day(NOW), "--endpoint", ENDPOINT)
    assert sentence.startswith(f"holdfast: {ENDPOINT}: ")  # a.test is nowhere (RFC 6761)


def test_it_changes_nothing(device, roots):
    has_seen(device, *roots)
    device.status()
    before = agent.tree(device.state)
    simulate("-s", device.state, "--at", day(NOW + 500 * DAY))
    assert agent.tree(device.state) == before


# ---- what is refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize("words, sentence", [
    ([], "--at DATE is missing"),
    (["--at", "tomorrow"], '--at wants YYYY-MM-DD or YYYY-MM-DDTHH:MM:SSZ, not "tomorrow"'),
    (["--at", "2038-02-30"], "--at wants"),
    (["--at", "2038-01-01", "--description", "x.json"], "--description is about a --bundle"),
])
def test_a_wrong_command_line_is_told_so(words, sentence):
    assert sentence in agent.refused("simulate", *words, code=2)


def test_a_server_certificate_is_no_root(tmp_path):
    leaf = net_pki.Authority("A").leaf("x.example")[0]
    file = tmp_path / "leaf.pem"
    file.write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
    said = agent.refused("simulate", "--bundle", file, "--at", "2030-01-01")
    assert said.startswith("holdfast: the bundle: ") and "is not a CA certificate" in said and "x.example" in said


def test_a_file_that_is_no_bundle_and_a_device_that_is_none(tmp_path):
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    assert "is empty" in agent.refused("simulate", "--bundle", empty, "--at", "2030-01-01")
    none = tmp_path / "none"
    words = ("simulate", "-s", none, "--at", "2030-01-01")
    assert "is not initialised" in agent.refused(*words)
    good = tmp_path / "good.pem"
    good.write_text(agent.Root("A", end=NOW + 9000 * DAY).pem)
    assert "is not initialised" in agent.refused(*words, "--bundle", good)
    bare = agent.Device(tmp_path).init()
    assert "has no bundle yet" in agent.refused("simulate", "-s", bare.state, "--at", "2030-01-01")
