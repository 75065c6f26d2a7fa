"""Tickets: they resume, also after new certificates and under the key before; and not when they must not."""
import pytest

from tls_serve import Pair, Rules, TlsServe, VERSIONS

both = pytest.mark.parametrize("version", VERSIONS)


class World:
    def __init__(self, folder):
        self.folder = folder
        self.rules = Rules(folder / "rules")
        self.rules.names.update({"twin.test": (5, "optional"), "other.test": (6, "optional"),
                                 "req.test": (9, "required")})
        self.device = Pair(folder, "device")
        self.rules.certs[self.device.sha256] = 0
        self.server = Pair(folder, "server", names=["dev.test"])
        self.ticket = folder / "ticket"

    def ask(self, version, *options, with_certificate=True, **how):
        certificate = self.device.options() if with_certificate else []
        return self.serve.s_client(VERSIONS[version], *certificate, *options, **how)

    def get_ticket(self, version, **how):
        out = self.ask(version, "-sess_out", str(self.ticket), **how)
        assert out.whoami and not out.is_resumed
        return out

    def use_ticket(self, version, **how):
        out = self.ask(version, "-sess_in", str(self.ticket), **how)
        assert out.whoami is None or out.whoami["resumed"] == out.is_resumed
        return out


@pytest.fixture
def world(tmp_path):
    w = World(tmp_path)
    with TlsServe("--loops", "2", rules=w.rules, pairs=[w.server]) as w.serve:
        yield w


@both
def test_a_ticket_resumes_with_its_certificate_on_any_loop(world, version):
    world.get_ticket(version)
    for _ in range(8):
        out = world.use_ticket(version)
        assert out.is_resumed
        assert (out.whoami["sha256"], out.whoami["tag"]) == (world.device.sha256, 5)


@both
def test_a_resumed_connection_gets_a_ticket_that_resumes(world, version):
    world.get_ticket(version)
    for _ in range(3):
        out = world.ask(version, "-sess_in", str(world.ticket), "-sess_out", str(world.ticket))
        assert out.is_resumed


@both
def test_a_ticket_without_a_certificate_resumes(world, version):
    world.get_ticket(version, with_certificate=False)
    out = world.use_ticket(version, with_certificate=False)
    assert out.is_resumed and out.whoami["sha256"] == ""


@both
def test_a_ticket_survives_new_certificates(world, version):
    world.get_ticket(version)
    Pair(world.folder, "server", names=["dev.test"])  # in the place of the one before
    world.serve.reload()
    assert world.use_ticket(version).is_resumed


@both
def test_a_ticket_survives_one_change_of_keys_and_not_two(world, version):
    world.get_ticket(version)
    world.serve.rotate()
    assert world.use_ticket(version).is_resumed
    world.serve.rotate()
    out = world.use_ticket(version)
    assert not out.is_resumed and out.whoami["sha256"] == world.device.sha256


def test_the_key_before_brings_a_ticket_of_the_new_one(world):
    world.get_ticket("1.3")
    world.serve.rotate()
    assert world.ask("1.3", "-sess_in", str(world.ticket), "-sess_out", str(world.ticket)).is_resumed
    world.serve.rotate()
    assert world.use_ticket("1.3").is_resumed
    # s_client does not keep the second ticket of TLS 1.2, but it shows that there is one.
    world.get_ticket("1.2")
    assert "NewSessionTicket" not in world.ask("1.2", "-sess_in", str(world.ticket), "-msg").text
    world.serve.rotate()
    out = world.ask("1.2", "-sess_in", str(world.ticket), "-msg")
    assert out.is_resumed and "NewSessionTicket" in out.text


@both
@pytest.mark.parametrize("alert, name", [(44, "certificate_revoked"), (42, "bad_certificate"), (48, "unknown_ca")])
def test_a_ticket_of_a_certificate_that_lost_its_right_is_a_full_handshake(world, version, alert, name):
    world.get_ticket(version)
    world.rules.certs[world.device.sha256] = alert
    world.serve.reload()
    out = world.use_ticket(version)
    assert (out.is_resumed, out.alert, out.whoami) == (False, name, None)
    # Nor does the ticket let a client in that shows no certificate any more.
    out = world.use_ticket(version, with_certificate=False)
    assert not out.is_resumed and out.whoami["sha256"] == ""
    # Restored, it may be used again.
    world.rules.certs[world.device.sha256] = 0
    world.serve.reload()
    assert world.use_ticket(version).is_resumed


@both
def test_a_ticket_resumes_in_its_own_account_only(world, version):
    world.get_ticket(version)
    out = world.use_ticket(version, name="other.test")
    assert (out.is_resumed, out.whoami["tag"]) == (False, 6)
    assert world.use_ticket(version, name="twin.test").whoami["tag"] == 5  # another name of the same account


@both
def test_a_ticket_without_a_certificate_is_not_one_where_it_is_required(world, version):
    world.get_ticket(version, with_certificate=False)
    world.rules.names["dev.test"] = (5, "required")
    world.serve.reload()
    out = world.use_ticket(version, with_certificate=False)
    assert not out.is_resumed and out.whoami is None
    assert out.alert == {"1.2": "handshake_failure", "1.3": "certificate_required"}[version]


@both
def test_an_account_that_is_gone_resumes_nothing(world, version):
    world.get_ticket(version)
    del world.rules.names["dev.test"]
    world.serve.reload()
    assert world.use_ticket(version).alert == "unrecognized_name"


@both
def test_a_damaged_ticket_is_a_full_handshake(world, version):
    import subprocess
    world.get_ticket(version)
    der = subprocess.run(["openssl", "sess_id", "-in", world.ticket, "-outform", "DER"], capture_output=True,
                         check=True).stdout
    # The ticket is the longest string in the session; its last byte is of the authentication code.
    text = subprocess.run(["openssl", "sess_id", "-in", world.ticket, "-noout", "-text"], capture_output=True, text=True,
                          check=True).stdout
    rows = [x.split(" - ", 1)[1] for x in text.split("TLS session ticket:")[1].splitlines() if " - " in x]
    ticket = b"".join(bytes.fromhex(row[:49].replace("-", " ")) for row in rows)
    assert der.count(ticket) == 1
    damaged = der.replace(ticket, ticket[:-1] + bytes([ticket[-1] ^ 1]))
    world.ticket.write_bytes(subprocess.run(["openssl", "sess_id", "-inform", "DER"], input=damaged, capture_output=True,
                                            check=True).stdout)
    out = world.use_ticket(version)
    assert not out.is_resumed and out.whoami["sha256"] == world.device.sha256


def test_there_is_no_early_data(world):
    out = world.get_ticket("1.3")
    assert "Max Early Data: 0" in out.text
    early = world.folder / "early"
    early.write_text("GET /whoami HTTP/1.1\r\nHost: x\r\n\r\n")
    out = world.ask("1.3", "-sess_in", str(world.ticket), "-early_data", str(early))
    assert "Early data was accepted" not in out.text
