"""SIGHUP: what the configuration says now counts without a restart, all of it or nothing; open connections go on."""
import contextlib
import http.client
import re
import signal
import socket
import ssl

import pytest

from kit import programs, roots
from kit.processes import wait_until
from kit.reports import PATH, as_body, report
from kit.service import HOST, Service
from kit.signer import DeviceKey, Signer

REQUEST = b"GET /metadata/timestamp.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
TAKEN = "it counts from now on"
KEPT = "the configuration stays as it was"


@pytest.fixture
def service(processes, folder, publisher):
    publisher.add(*roots.amazon(1))
    made = Service(processes, folder / "service", publisher, http__listen="127.0.0.1:0", server__loops=1).start()
    listening = re.compile(r"listening on http://127\.0\.0\.1:(\d+)")
    made.server.wait_for(lambda: listening.search(made.server.err), "listens")
    made.http = int(listening.search(made.server.err)[1])
    made.settings["http"]["listen"] = f"127.0.0.1:{made.http}"
    made.write_config()
    yield made.with_account()
    made.server.stop()
    made.signer.stop()


def hang_up(process, line):
    """Reload; the log then has one `line` more."""
    before = process.err.count(line)
    process.signal(signal.SIGHUP)
    process.wait_for(lambda: process.err.count(line) > before, line)


def change(service, section, line=TAKEN, **keys):
    service.settings.setdefault(section, {}).update(keys)
    service.write_config()
    hang_up(service.server, line)


class Client:
    """A connection that stays open, with or without TLS."""

    def __init__(self, service, is_tls=False):
        self.socket = socket.create_connection(("127.0.0.1", service.port if is_tls else service.http), timeout=30)
        if is_tls:
            context = ssl.create_default_context(cafile=service.server_ca)
            self.socket = context.wrap_socket(self.socket, server_hostname=HOST)

    def answers(self):
        try:
            self.socket.sendall(REQUEST)
            text = b""
            while b'"signatures"' not in text:
                more = self.socket.recv(65536)
                if not more:
                    return False
                text += more
            return text.startswith(b"HTTP/1.1 200")
        except OSError:
            return False

    def is_closed(self):
        """The server closes it, by itself."""
        try:
            while self.socket.recv(65536):
                pass
        except ConnectionResetError:
            pass
        return True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


def answers(service):
    with Client(service) as client:
        return client.answers()


@contextlib.contextmanager
def survivors(service):
    """One connection with TLS and one without are open before, and serve the next request after."""
    with Client(service) as plain, Client(service, is_tls=True) as tls:
        assert plain.answers() and tls.answers()
        yield
        assert plain.answers() and tls.answers()


# ---- each option -----------------------------------------------------------------------------------------------

def test_max_per_address(service):
    with survivors(service):
        change(service, "server", max_per_address=2)
        assert not answers(service)
        change(service, "server", max_per_address=100)
        assert answers(service)


def test_max_connections(service):
    with Client(service) as first:
        assert first.answers()
        change(service, "server", max_connections=1)
        with Client(service) as second:
            second.socket.sendall(REQUEST)
            service.server.wait_for(lambda: "accepting pauses with 1 connections" in service.server.err, "pauses")
            assert first.answers()
            change(service, "server", max_connections=100)
            assert second.socket.recv(64).startswith(b"HTTP/1.1 200")
        assert first.answers()


def test_idle_timeout(service):
    with Client(service) as plain, Client(service, is_tls=True) as tls:
        assert plain.answers() and tls.answers()
        change(service, "server", idle_timeout="1s")
        assert plain.is_closed() and tls.is_closed()  # their own limit of 30 s ends it otherwise
    change(service, "server", idle_timeout="1h")
    with survivors(service):
        pass


def test_header_timeout(service):
    change(service, "server", header_timeout="1h")
    with survivors(service), Client(service) as slow:
        slow.socket.sendall(REQUEST[:20])
        change(service, "server", header_timeout="1s")
        assert slow.socket.recv(64).startswith(b"HTTP/1.1 408")


def test_access_log(service, folder):
    first, second = folder / "first.log", folder / "second.log"
    with Client(service) as client:
        def asks(target):
            client.socket.sendall(f"GET /{target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            assert client.socket.recv(65536).startswith(b"HTTP/1.1 404")

        asks("off-1")
        change(service, "server", access_log=first)
        wait_until(lambda: asks("in-first") or "in-first" in first.read_text(), "the log begins")
        change(service, "server", access_log=second)
        wait_until(lambda: asks("in-second") or (second.exists() and "in-second" in second.read_text()), "it moves")
        length = len(first.read_text())
        # A rotation of the file works as before.
        second.rename(folder / "rotated.log")
        service.server.signal(signal.SIGHUP)
        wait_until(second.exists, "opened again")
        # What is asked before the server has taken the new file stands in the renamed one.
        wait_until(lambda: asks("after") or "after" in second.read_text(), "it is written to")
        change(service, "server", access_log="off")
        service.server.signal(signal.SIGHUP)
        asks("off-2")
        assert service.server.stop() == 0  # what waits is written at the end
    assert len(first.read_text()) == length
    assert "off-1" not in first.read_text()
    everything = second.read_text()
    assert all('"time"' in line for line in everything.splitlines())


def test_balancers(service):
    with survivors(service):
        assert "BEGIN CERTIFICATE" in service.s_client()
        change(service, "devices", balancer="127.0.0.0/8")
        assert "BEGIN CERTIFICATE" not in service.s_client()  # it must begin with PROXY
        assert answers(service)  # only devices come from balancers
        del service.settings["devices"]["balancer"]
        change(service, "devices")
        assert "BEGIN CERTIFICATE" in service.s_client()


def test_sni(service):
    missing = "missing extension"
    with survivors(service):
        assert missing in service.s_client(name=None)
        change(service, "devices", sni="optional")
        wait_until(lambda: missing not in service.s_client(name=None), "SNI is optional")
        change(service, "devices", sni="required")
        wait_until(lambda: missing in service.s_client(name=None), "SNI is required")


def test_audits(service):
    def problem():
        service.admin("audit", "run", "DEVICE_CERTIFICATE_AGE")
        wait_until(lambda: not audit()["is_running"], "has run")
        return audit()["problem"]

    def audit():
        return next(a for a in service.admin_json("audit", "list")["audits"] if a["name"] == "DEVICE_CERTIFICATE_AGE")

    with survivors(service):
        assert "it is turned off" in problem()
        change(service, "audits", device_certificate_age="1d", every="2h")
        assert problem() is None
        change(service, "audits", device_certificate_age="0")
        assert "it is turned off" in problem()


def test_limits_of_reports(service):
    service.admin("account", "change", "pumps", "--policy", "read+report")
    context = ssl.create_default_context(cafile=service.server_ca)

    def send(first, last):
        connection = http.client.HTTPSConnection(HOST, service.port, context=context, timeout=30)
        connection.request("POST", PATH, as_body([report("pump", n) for n in range(first, last)]),
                           {"Content-Type": "application/json"})
        assert connection.getresponse().status == 200
        return len(service.admin_json("device", "unverified", "--account", "pumps")["reports"])

    with survivors(service):
        assert send(1, 6) == 5
        change(service, "database", unverified_reports=2, report_keep="30d")
        assert "[database] report_keep has changed: it counts from now on" in service.server.err
        assert send(6, 7) == 2
        change(service, "database", unverified_reports=100)
        assert send(7, 10) == 5


def test_what_needs_a_restart_is_named_and_stays(service, folder):
    with survivors(service):
        change(service, "database", path=folder / "other.db", line="[database] path has changed: it counts after")
        change(service, "server", loops=2, line="[server] loops has changed: it counts after a restart of holdfastd")
        assert service.server.err.count("[database] path has changed") == 2  # said each time, until the restart
        assert not (folder / "other.db").exists()
    assert KEPT not in service.server.err


# ---- a file with a fault ---------------------------------------------------------------------------------------

FAULTS = {
    "section": ("[nowhere]\na = b\n", 'there is no section "nowhere"'),
    "bounds": ("[server]\nidle_timeout = 2d\n", "[server] idle_timeout: expected a time from 1 to 86400"),
    "syntax": ("[server]\nidle_timeout\n", "expected \"[section]\", \"key = value\" or a comment"),
    "balancer": ("[devices]\nbalancer = 10.0.0.1/8\n", "[devices] balancer"),
    "webhook": ("[webhook]\nurl = https://hooks.example/\nsecret_file = /nowhere.secret\n", "/nowhere.secret"),
    "audits": ("[audits]\nevery = 1s\n", "[audits] every: expected a time from 60"),
    "log": ("[server]\naccess_log = /nowhere/at/all\n", "the access log /nowhere/at/all cannot be opened"),
    "certificate": ("[devices]\ncertificate = /nowhere.pem\nkey = /nowhere.key\n", "/nowhere"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_file_with_a_fault_changes_nothing(service, fault):
    text, sentence = FAULTS[fault]
    with survivors(service):
        service.settings["server"].update(max_per_address=1, max_connections=1)
        service.settings["devices"]["sni"] = "optional"
        service.write_config()
        good = service.config.read_text()
        service.config.write_text(good + text)
        hang_up(service.server, KEPT)
        said = next(line for line in service.server.err.splitlines() if KEPT in line)
        assert sentence in said and "error:" in said
        assert answers(service) and "missing extension" in service.s_client(name=None)
        assert TAKEN not in service.server.err
        # It is not half taken, and the service goes on with the next right one.
        service.config.write_text(good.replace("max_connections = 1", "max_connections = 9"))
        hang_up(service.server, TAKEN)
        wait_until(lambda: not answers(service), "max_per_address counts")


def test_a_certificate_of_one_listener_that_cannot_be_read_keeps_that_of_the_other(service):
    """Both are read before one of them changes."""
    bad = service.folder / "bad.pem"
    bad.write_text("no certificate")
    service.server.stop()
    service.settings["admin"].update(listen="127.0.0.1:0", certificate=service.chain, key=service.key)
    service.write_config()
    service.start_server()
    leaf = re.search(r"-----BEGIN CERTIFICATE-----.*?END", service.s_client(), re.S)[0]
    service.write_certificate()
    service.settings["admin"]["certificate"] = bad
    service.write_config()
    hang_up(service.server, KEPT)
    assert leaf in service.s_client()


# ---- without the fleet, and the signer ---------------------------------------------------------------------------

def test_a_configuration_without_the_fleet(processes, folder, publisher):
    publisher.add(*roots.amazon(1))
    conf = folder / "conf"

    def write(port, most):
        conf.write_text(f"[repository]\npath = {publisher.repo}\n[http]\nlisten = 127.0.0.1:{port}\n"
                        f"[server]\nmax_per_address = {most}\n")
    write(0, 5)
    server = processes.start(programs.command("holdfastd", "--config", conf), "holdfastd")
    server.wait_for(lambda: "listening on http" in server.err, "listens")

    class Plain:
        http = int(re.search(r"listening on http://127\.0\.0\.1:(\d+)", server.err)[1])
    with Client(Plain) as client:
        assert client.answers()
        write(Plain.http, 1)
        hang_up(server, TAKEN)
        assert not answers(Plain) and client.answers()
    assert server.stop() == 0


def test_the_signer_takes_quotas_and_times(processes, folder, publisher):
    publisher.add(*roots.amazon(1))
    signer = Signer(processes, folder / "signer", publisher, issue_per_day=1)
    signer.new_ca("ca-1", "pumps")
    signer.start()
    now_on = "from now on: timestamp_every"

    def reload(line=now_on, **changes):
        signer.write_config(**changes)
        hang_up(signer.process, line)

    signer.issue(DeviceKey(), "one")
    with pytest.raises(AssertionError, match="used up"):
        signer.issue(DeviceKey(), "two")
    reload(issue_per_day=3)
    signer.issue(DeviceKey(), "two")  # over the same connection
    reload(issue_per_day_per_ca=2)
    with pytest.raises(AssertionError, match="the device CA ca-1 is used up"):
        signer.issue(DeviceKey(), "three")
    assert signer.ok("status")["quota"]["per_day_per_ca"] == 2

    # A fault changes nothing, not even what is right in the same file.
    reload(KEPT, issue_per_day_per_ca=50, timestamp_every="1y")
    assert "[signer] timestamp_every: expected a time from 1 to 2592000" in signer.process.err
    assert signer.ok("status")["quota"]["per_day_per_ca"] == 2
    reload("[signer] state has changed: it counts after a restart of holdfast-signer",
           timestamp_every="24h", state=folder / "elsewhere")
    signer.issue(DeviceKey(), "three")
    assert not (folder / "elsewhere").exists()

    signed = lambda: [s["kind"] for s in signer.ok("signatures", after=0)["signatures"]].count("timestamp")
    before = signed()
    reload(timestamp_every="1s")
    wait_until(lambda: signed() > before, "signs timestamps more often")
    assert signer.stop() == 0
