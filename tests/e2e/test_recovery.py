"""The way home when nothing validates any more: dead anchors, old roots, a clock in 1970, all at once;
and that an attacker on the network gains nothing."""
import json
import re
import shutil
import sqlite3
import ssl

import pytest

import net_servers  # of tests/cli; conftest.py puts it on the path
from kit import clock, pki, programs
from kit.device import Device
from kit.forge import Forge
from kit.pki import DAY, NOW
from kit.publisher import Publisher
from kit.servers import NginxTls

YEAR = 365 * DAY
RECOVERED = " (recovery: the servers' chains were not validated)"
LONG_ENOUGH = "4 86400000 0 0"  # checks that failed, own uptime in ms; the next one may begin it


@pytest.fixture
def new_root(folder):
    """Signs the update server's certificate today."""
    authority = pki.Authority("New Root")
    authority.file = authority.write(folder / "new-root.pem")
    return authority


@pytest.fixture
def dead_root(folder):
    """What the device left the factory with; it ended two years ago."""
    authority = pki.Authority("Dead Root", start=NOW - 10 * YEAR, end=NOW - 2 * YEAR)
    authority.file = authority.write(folder / "dead-root.pem")
    return authority


@pytest.fixture
def other_root(folder):
    """Valid, and not used by any server."""
    authority = pki.Authority("Other Root")
    authority.file = authority.write(folder / "other-root.pem")
    return authority


@pytest.fixture
def leaf(folder, new_root):
    """Issued after this program was built: for a clock that stands still it is not yet valid."""
    return pki.write_chain(folder, "leaf", new_root.leaf("127.0.0.1", start=NOW))


@pytest.fixture
def https(processes, folder, server, leaf):
    """nginx with TLS before holdfastd."""
    return NginxTls(processes, folder / "nginx", *leaf, backend=server.url)


@pytest.fixture
def static(processes, folder, publisher, leaf):
    """nginx with TLS before the files, whatever they are."""
    return NginxTls(processes, folder / "nginx", *leaf, root=publisher.repo)


def new_device(folder, publisher, url, factory, *options):
    return Device(folder / "device").init(publisher.root, url,
                                          options=["--bundle", factory.file, *options])


def failed_for_a_day(device):
    """As if the last four checks, over a day, had met no chain that validates."""
    connection = sqlite3.connect(device.database)
    with connection:
        connection.execute("INSERT OR REPLACE INTO value VALUES ('recovery.failures', ?)",
                           [LONG_ENOUGH])
    connection.close()


def journal(device, kind):
    return [text for (text,) in device.rows(f"SELECT text FROM event WHERE kind = '{kind}' ORDER BY id")]


def rewrite_roots(publisher, first_ends=NOW - 3 * YEAR, second_ends=NOW + YEAR):
    """Root 1 was signed four years ago, root 2 today and by the same keys."""
    forge = Forge(publisher)
    signed = publisher.metadata("root")["signed"]
    keys = forge.key_ids("root")
    stamp = "%Y-%m-%dT%H:%M:%SZ"
    first = dict(signed, version=1, signed_at=(NOW - 4 * YEAR).strftime(stamp),
                 expires=first_ends.strftime(stamp))
    second = dict(signed, version=2, expires=second_ends.strftime(stamp))
    forge.write("root", first, keys)
    forge.write("root", second, keys)
    return forge, second, keys


def check_home(device, outcome, publisher_root):
    """It has the new root, says how it came to it, and validates from now on."""
    assert outcome.endswith(RECOVERED)
    [anchor] = device.status()["active"]["roots"]
    assert publisher_root.common_name in anchor["subject"]
    lines = journal(device, "recovery")
    assert "continues without validating the chain of https://127.0.0.1:" in lines[0]
    assert "recovery helped" in lines[-1]
    assert journal(device, "swap")[-1].endswith(", recovered")


# ---- home ------------------------------------------------------------------------------------------


def test_every_anchor_is_dead(folder, publisher, https, dead_root, new_root):
    publisher.add(new_root.file)
    device = new_device(folder, publisher, https.url, dead_root)
    said = device.update()
    assert said == "updated amazon-iot/full 0 -> 1" + RECOVERED
    check_home(device, said, new_root)
    # And from here on it is as it always was.
    assert device.update() == "current amazon-iot/full 1"
    assert len(journal(device, "recovery")) == 2


def test_valid_anchors_that_the_server_moved_away_from(folder, publisher, https, other_root,
                                                       new_root):
    publisher.add(new_root.file)
    device = new_device(folder, publisher, https.url, other_root)
    bundles = device.bundles()
    for _ in range(4):
        programs.says(device.refuses_update(), "no trust anchor for issuer", "New Root")
    assert (device.bundles(), journal(device, "recovery")) == (bundles, [])
    failed_for_a_day(device)
    check_home(device, device.update(), new_root)
    assert device.update() == "current amazon-iot/full 1"


def test_root_that_expired_three_years_ago(folder, publisher, static, dead_root, new_root):
    publisher.add(new_root.file)
    rewrite_roots(publisher)
    device = new_device(folder, publisher, static.url, dead_root)
    check_home(device, device.update(), new_root)
    assert device.metadata_versions()["root"] == 2


def test_newest_root_has_expired_too_and_the_next_one_cures_it(folder, publisher, static, dead_root,
                                                               new_root):
    publisher.add(new_root.file)
    forge, second, keys = rewrite_roots(publisher, second_ends=NOW - DAY)
    device = new_device(folder, publisher, static.url, dead_root)
    bundles = device.bundles()
    programs.says(device.refuses_update(), "publishing the next root metadata, 3.root.json, signed "
                  "with the root keys of version 2, cures this")
    assert device.bundles() == bundles
    assert device.metadata_versions() == {"root": 2}

    third = dict(second, version=3, expires=(NOW + YEAR).strftime("%Y-%m-%dT%H:%M:%SZ"))
    forge.write("root", third, keys)
    check_home(device, device.update(), new_root)


def test_clock_in_1970(folder, publisher, static, new_root):
    """The device knows the right root, but takes today's certificate for one of the future."""
    env = clock.at(clock.IN_1970)
    publisher.add(new_root.file)
    rewrite_roots(publisher, first_ends=NOW + YEAR)
    device = new_device(folder, publisher, static.url, new_root)
    bundles = device.bundles()
    for _ in range(4):
        programs.says(device.refuses_update(env=env), "not yet valid")
    assert (device.bundles(), journal(device, "recovery")) == (bundles, [])
    failed_for_a_day(device)
    check_home(device, device.update(env=env), new_root)
    # The new root metadata says what time it is at least, and that is enough to validate again.
    assert device.update(env=env) == "current amazon-iot/full 1"


def test_all_of_it_at_once(folder, publisher, static, dead_root, new_root):
    env = clock.at(clock.IN_1970)
    publisher.add(new_root.file)
    rewrite_roots(publisher)
    device = new_device(folder, publisher, static.url, dead_root)
    check_home(device, device.update(env=env), new_root)
    assert device.update(env=env) == "current amazon-iot/full 1"


# ---- what keeps it from beginning ------------------------------------------------------------------


def test_server_ca_that_is_valid_is_not_given_up_at_once(folder, publisher, https, dead_root,
                                                         other_root, new_root):
    publisher.add(new_root.file)
    device = new_device(folder, publisher, https.url, dead_root, "--server-ca", other_root.file)
    for _ in range(4):
        programs.says(device.refuses_update(), "no trust anchor for issuer")
    assert journal(device, "recovery") == []


def test_server_ca_that_has_expired_keeps_nobody(folder, publisher, https, dead_root, new_root):
    publisher.add(new_root.file)
    device = new_device(folder, publisher, https.url, dead_root, "--server-ca", dead_root.file)
    check_home(device, device.update(), new_root)


def test_server_ca_that_validates_needs_no_recovery(folder, publisher, https, dead_root, new_root):
    publisher.add(new_root.file)
    device = new_device(folder, publisher, https.url, dead_root, "--server-ca", new_root.file)
    assert device.update() == "updated amazon-iot/full 0 -> 1"
    assert journal(device, "recovery") == []


# ---- who listens, and who interferes ---------------------------------------------------------------


def files_of(repo, seen=None):
    """A respond function that serves a folder and notes what a TLS server can know of who asks."""
    def respond(conn, request, number):
        if seen is not None:
            seen.append((conn.getpeercert(binary_form=True), conn.session_reused))
        path = request.split(b" ")[1].decode().lstrip("/")
        file = repo / path
        body = file.read_bytes() if file.is_file() else b""
        status = "200 OK" if file.is_file() else "404 Not Found"
        return net_servers.answer(body, status, ['ETag: "tell-tale"'])(conn, request, number)
    return respond


def server_context(chain, key, client_root):
    context = net_servers.tls_context(chain, key)
    context.verify_mode = ssl.CERT_OPTIONAL  # asks for a certificate, and takes none as well
    context.load_verify_locations(client_root)
    return context


ALLOWED = [rb"GET /(metadata|targets)/[\w./-]+ HTTP/1\.1", rb"Host: 127\.0\.0\.1:\d+",
           rb"User-Agent: holdfast/[\d.]+", rb"Accept: \*/\*", rb"Accept-Encoding: identity"]


def test_nothing_on_the_wire_tells_who_recovers(folder, publisher, leaf, dead_root, new_root):
    publisher.add(new_root.file)
    seen = []
    context = server_context(*leaf, new_root.file)
    with net_servers.RawServer(files_of(publisher.repo, seen), tls=context) as s:
        device = new_device(folder, publisher, s.url("").rstrip("/"), dead_root)
        assert device.update().endswith(RECOVERED)
        n_recovering = len(s.requests)
        assert s.connections >= n_recovering + 1  # one for each request, after the one that failed
        for request in s.requests:
            for line in request.rstrip(b"\r\n").split(b"\r\n"):
                assert any(re.fullmatch(allowed, line) for allowed in ALLOWED), line
        assert seen == [(None, False)] * n_recovering
        assert set(context.names) == {None}  # an address; a name would be in the request as well
        # What was handed to it in that time does not come back later either.
        assert device.update() == "current amazon-iot/full 1"
        assert not any(b"tell-tale" in request for request in s.requests)


# ---- Mallory, with another certificate, in place of the update server --------------------------------


def repository_of_mallory(publisher, repo, mallory):
    """Signed, by unknown keys."""
    other = Publisher(repo.parent / "mallory")
    other.add(mallory.file)
    shutil.copytree(other.repo, repo)


def unsigned(publisher, repo, mallory):
    shutil.copytree(publisher.repo, repo)
    file = repo / "metadata" / "timestamp.json"
    metadata = json.loads(file.read_text())
    metadata["signed"]["version"] += 1
    file.write_text(json.dumps({"signed": metadata["signed"], "signatures": []}))


def next_root_of_mallory(publisher, repo, mallory):
    """It names the keys of Mallory's repository, which has the rest."""
    repository_of_mallory(publisher, repo, mallory)
    root = json.loads((repo / "metadata" / "1.root.json").read_text())
    root["signed"]["version"] = 2
    (repo / "metadata" / "2.root.json").write_text(json.dumps(root))


def other_bundle(publisher, repo, mallory):
    """Everything signed is genuine; the roots are Mallory's."""
    shutil.copytree(publisher.repo, repo)
    [file] = (repo / "targets" / "amazon-iot" / "full").glob("*.1.pem")
    pem = mallory.file.read_bytes()
    file.write_bytes(pem.ljust(file.stat().st_size, b"\n")[:file.stat().st_size])


@pytest.mark.parametrize("forge, says, refused_from", [
    (repository_of_mallory, "timestamp.json: ", "root"),
    (unsigned, "timestamp.json: ", "root"),
    (next_root_of_mallory, "2.root.json: ", "root"),
    (other_bundle, ".1.pem: ", "bundle"),
])
def test_stranger_in_the_middle_gains_nothing(folder, publisher, dead_root, new_root, forge, says,
                                              refused_from):
    publisher.add(new_root.file)
    mallory = pki.Authority("Mallory Root")
    mallory.file = mallory.write(folder / "mallory.pem")
    forge(publisher, folder / "forged", mallory)
    chain, key = pki.write_chain(folder, "mallory", mallory.leaf("127.0.0.1"))
    with net_servers.RawServer(files_of(folder / "forged"),
                               tls=net_servers.tls_context(chain, key)) as s:
        device = new_device(folder, publisher, s.url("").rstrip("/"), dead_root)
        bundles, root = device.bundles(), device.rows("SELECT bytes FROM metadata")
        sentence = device.refuses_update()
        programs.says(sentence, says)
        assert device.bundles() == bundles
        assert device.rows("SELECT bytes FROM metadata WHERE role = 'root'") == root
        if refused_from == "root":
            programs.says(sentence, "recovery did not help either")
            assert device.metadata_versions() == {"root": 1}
    # The device asked Mallory, over a connection without validation: that is not what protects it.
    assert len(s.requests) >= 1
    assert "continues without validating" in journal(device, "recovery")[0]
