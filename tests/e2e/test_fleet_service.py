"""The fleet service as an operator runs it: two processes by one file, holdfast-admin, and real devices."""
import re
import shutil
import signal
import time

import pytest

from kit import programs, roots
from kit.service import Service


@pytest.fixture
def service(processes, folder, publisher):
    publisher.add(*roots.amazon(1))
    made = Service(processes, folder / "service", publisher).start()
    yield made.with_account()
    made.server.stop()
    made.signer.stop()


# ---- the main job ---------------------------------------------------------------------------------

def test_enrol_update_rotate_and_shut_out(service):
    device = service.enrolled("pump-7")
    assert device.update() == "updated amazon-iot/full none -> 1"
    first = service.credential_of("pump-7")
    said = programs.ok("holdfast", "--state", device.state, "rotate").out
    assert said.startswith("rotated pump-7: certificate ")
    both = {c["sha256"]: c["status"] for c in service.credentials()}
    assert len(both) == 2 and both[first] == "ACTIVE"
    for one in both:
        service.admin("credential", "revoke", "--account", "pumps", one)
    outcome = programs.call("holdfast", "--state", device.state, "update")
    assert outcome.code != 0 and "certificate_revoked" in outcome.err
    assert service.admin("log", "export").count('"action":"credential.status"') == 2


def test_a_device_that_is_shut_out_comes_back_only_by_a_certificate_that_is_made_active_again(service):
    device = service.enrolled("pump-7")
    old = service.credential_of("pump-7")
    programs.ok("holdfast", "--state", device.state, "rotate")
    new, = {c["sha256"] for c in service.credentials()} - {old}
    service.admin("credential", "deactivate", "--account", "pumps", new)
    assert {c["status"] for c in service.credentials()} == {"INACTIVE"}
    assert "bad_certificate" in device.refuses_update()
    assert "does not accept the certificate of this device" in device.status()["identity"]["last_failure"]["text"]
    service.admin("credential", "activate", "--account", "pumps", old)
    # The service accepts the one before again, and renews it as often as any other.
    said = programs.refused("holdfast", "--state", device.state, "rotate")
    assert "bad_certificate" in said and "(1 an hour)" in said


def test_the_log_is_sealed_and_verifies_offline(service, folder):
    service.enrolled("pump-7")
    service.server.stop()
    service.start_server()
    service.wait_until_sealed()
    copy = folder / "log.jsonl"
    text = service.admin("log", "export")
    copy.write_text(text)
    said = programs.ok("holdfast-admin", "log", "verify", copy, "--key", service.log_key).out
    assert re.search(r"\d+ seals of this key", said)
    assert '"action":"signer.signature"' in text  # the signer's own, taken over
    # One byte changed, one line lost, another key.
    copy.write_text(text.replace("pump-7", "pump-8", 1))
    assert "line" in programs.refused("holdfast-admin", "log", "verify", copy, "--key", service.log_key)
    copy.write_text("".join(text.splitlines(keepends=True)[1:]))
    programs.refused("holdfast-admin", "log", "verify", copy, "--key", service.log_key)
    copy.write_text(text)
    programs.refused("holdfast-admin", "log", "verify", copy, "--key", "00" * 32)


def test_a_log_that_is_an_old_copy_is_said_and_not_taken_back(service, folder):
    service.enrolled("pump-7")
    service.server.stop()
    database = folder / "service" / "fleet.db"
    shutil.copy(database, folder / "old.db")
    service.start_server()
    service.enrolled("pump-8")
    service.server.stop()
    service.start_server()  # it seals at its start what is not sealed yet
    service.wait_until_sealed()
    service.server.stop()
    for more in ("-wal", "-shm"):
        database.with_name(database.name + more).unlink(missing_ok=True)
    shutil.copy(folder / "old.db", database)
    service.start_server()
    service.server.wait_for(lambda: "the log differs from what the signer sealed" in service.server.err,
                            "says so")
    time.sleep(12)  # one more look
    assert "error: the audit log cannot be sealed" in service.server.err
    assert "sealed again" not in service.server.err


def test_a_stopped_signer_does_not_hold_up_the_end(service):
    service.signer.signal(signal.SIGSTOP)
    time.sleep(11)  # the log's keeper waits for it now
    began = time.monotonic()
    assert service.server.stop() == 0
    took = time.monotonic() - began
    service.signer.signal(signal.SIGCONT)
    assert took < 12


def test_what_the_desk_signed_reaches_the_device(service, publisher, folder):
    device = service.enrolled("pump-7")
    assert device.update() == "updated amazon-iot/full none -> 1"
    desk = publisher.sign_offline(folder / "desk", *roots.amazon(1, 2))
    assert service.admin("publish", desk).startswith("published: targets 3")
    service.server.wait_for(lambda: "serving timestamp 3" in service.server.err, "serves it")
    assert device.update() == "updated amazon-iot/full 1 -> 2"
    # What is no copy of the repository is refused, and the operator reads why.
    assert f"{folder} does not follow targets 3" in service.refuses("publish", folder)


# ---- without a certificate --------------------------------------------------------------------------

def get(path, host="localhost"):
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("policy, alert, status", [
    ("none", "certificate required", None), ("enroll", None, "403"), ("read", None, "200"),
    ("read+report", None, "200")])
def test_policies(service, policy, alert, status):
    service.admin("account", "change", "pumps", "--policy", policy)
    said = service.s_client("-ign_eof", send=get("/metadata/timestamp.json"))
    if alert:
        assert alert in said
    else:
        assert f"HTTP/1.1 {status} " in said


def test_a_name_of_no_account_is_refused(service):
    assert "unrecognized name" in service.s_client(name="other.example")
    assert "missing extension" in service.s_client(name=None)


def test_a_request_for_another_account_on_this_connection(service):
    service.admin("account", "create", "valves", "--sni", "valves.example")
    assert "HTTP/1.1 421 " in service.s_client(
        "-ign_eof", send=get("/metadata/timestamp.json", "valves.example"))


# ---- the configuration, and what changes while it runs -----------------------------------------------

def test_the_configuration_is_checked_without_a_start(folder, publisher):
    publisher.add(*roots.amazon(1))
    conf = folder / "conf"
    conf.write_text(f"[repository]\npath = {publisher.repo}\n")
    assert programs.ok("holdfastd", "--check-config", conf).out == f"{conf} is right\n"
    conf.write_text("[repository]\npath = /srv/repo\n[devices]\nlisen = 0.0.0.0:1\n")
    assert "there is no key \"lisen\" in [devices]" in programs.refused("holdfastd", "--check-config",
                                                                       conf)
    for beside in (("--repo", folder), ("--wait",), ("--loops", "2"), ("--max-connections", "9"),
                   ("--max-per-address", "9"), ("--header-timeout", "9"), ("--idle-timeout", "9")):
        for option in ("--config", "--check-config"):
            both = programs.call("holdfastd", option, conf, *beside)
            assert both.code == 2 and "stand alone" in both.err, beside


@pytest.mark.parametrize("line, becomes, said", [
    ("listen = 127.0.0.1", "listen = localhost", "[devices] listen: "),
    ("key = ", "key = /none/such/", "[devices]: "),
    ("[signer]", "[signer]\nclient_user = no-such-user", "[signer] client_user: there is no user"),
    ("path = ", "path = /none/such/", "/none/such/"),
    ("[devices]", "[devices]\nbalancer = 10.0.0.1/8", "[devices] balancer: "),
])
def test_what_the_configuration_names_is_checked_too(service, folder, line, becomes, said):
    assert programs.ok("holdfastd", "--check-config", service.config).out.endswith(" is right\n")
    conf = folder / "wrong.conf"
    text = service.config.read_text()
    assert line in text
    conf.write_text(text.replace(line, becomes, 1))
    refused = programs.refused("holdfastd", "--check-config", conf)
    assert str(conf) in refused and said in refused


def test_an_operator_is_told_where_the_service_was_looked_for(service, folder):
    none = folder / "none.sock"
    said = programs.call("holdfast-admin", "account", "list", "--socket", none)
    assert said.code == 1
    assert said.err == (f"holdfast-admin: {none}: the service does not answer: No such file or directory. "
                        "Start holdfastd, or name its socket with --socket\n")
    logged = programs.call("holdfast-admin", "account", "list", "--socket", none, "-v")
    assert logged.err == f"holdfast-admin: GET /v1/accounts at {none}: no answer\n{said.err}"
    logged = programs.call("holdfast-admin", "-v", "account", "show", "none", "--config", service.config)
    assert logged.err.splitlines()[0].endswith("/admin.sock: HTTP 404") and "/v1/accounts/none at " in logged.err


def test_a_limit_is_one_and_no_use_is_no_token(service):
    for name in ("a", "b", "c"):
        service.admin("account", "create", name)
    assert len(service.admin("account", "list", "--limit", "2").splitlines()) == 3
    none = programs.call("holdfast-admin", "enroll-token", "create", "--account", "a", "--uses", "0",
                         "--config", service.config)
    assert none.code == 2 and "1 to 1000000, not 0" in none.err


def test_an_issuing_ca_is_one_of_the_account(service):
    service.admin("account", "create", "valves")
    before = service.admin("account", "show", "valves")
    typo = programs.call("holdfast-admin", "account", "change", "valves", "--issuing-ca", "typo",
                         "--config", service.config)
    assert typo.code == 2 and "ca register --signer-ca" in typo.err
    assert service.admin("account", "show", "valves") == before


def test_a_configuration_without_the_fleet_serves_a_folder(processes, folder, publisher):
    publisher.add(*roots.amazon(1))
    conf = folder / "conf"
    conf.write_text(f"[repository]\npath = {publisher.repo}\n[http]\nlisten = 127.0.0.1:0\n")
    server = processes.start(programs.command("holdfastd", "--config", conf), "holdfastd")
    server.wait_for(lambda: "listening on http://127.0.0.1:" in server.err, "listens")
    assert server.stop() == 0


def test_a_new_server_certificate_without_a_restart(service):
    before = service.s_client()
    service.write_certificate()
    service.settings["server"] = {"max_connections": 10}
    service.write_config()
    service.server.signal(signal.SIGHUP)
    service.server.wait_for(lambda: "new connections get the certificates" in service.server.err,
                            "reads them")
    assert "[server] max_connections has changed" in service.server.err
    serial = [line for line in service.s_client().splitlines() if "MII" in line][:1]
    assert serial and serial[0] not in before
    # What cannot be read changes nothing.
    service.chain.write_text("no certificate")
    service.server.signal(signal.SIGHUP)
    service.server.wait_for(lambda: "the configuration stays as it was" in service.server.err, "says so")
    assert "Verify return code: 0" in service.s_client()


def test_two_servers_never_share_a_database(service):
    second = programs.call("holdfastd", "--config", service.config)
    assert second.code == 1
    assert service.server.is_running()
    assert service.admin("status")  # its socket is still there


# ---- a process is away --------------------------------------------------------------------------------

def test_without_the_signer_devices_update_and_nothing_is_issued(service):
    device = service.enrolled("pump-7")
    assert device.update() == "updated amazon-iot/full none -> 1"
    token = service.token()
    service.signer.stop()
    assert device.update() == "current amazon-iot/full 1"
    late = service.device("pump-8")
    file = late.state.parent / "late.token"
    file.touch(mode=0o600)
    file.write_text(token)
    refused = programs.call("holdfast", "--state", late.state, "enroll", "--token-file", file)
    assert refused.code != 0
    assert service.credentials("--device", "pump-8") == []
    service.start_signer()
    # The token was not spent.
    programs.ok("holdfast", "--state", late.state, "enroll", "--token-file", file)


def test_a_kill_of_either_process_loses_nothing_that_was_answered(service):
    known = {}
    for i in range(4):
        service.enrolled(f"pump-{i}")
        credential = service.credential_of(f"pump-{i}")
        if i % 2:
            service.admin("credential", "deactivate", "--account", "pumps", credential)
        known[credential] = "INACTIVE" if i % 2 else "ACTIVE"
        if i % 2:
            service.server.popen.kill()
            service.server.wait()
            service.start_server()
        else:
            service.signer.popen.kill()
            service.signer.wait()
            service.start_signer()
        assert {c["sha256"]: c["status"] for c in service.credentials()} == known
    service.admin("log", "export")  # its chain verifies while it is printed
