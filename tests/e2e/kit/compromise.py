"""The fleet service with an attacker in it, and the table of SECURITY.md that says what this attacker gains.

Each test of tests/e2e/test_compromise_*.py shows statements of that table. A row or a statement without a test fails,
and so does a test of a statement that is not there."""
import re
import ssl

from kit import api, client_pki, programs
from kit.service import Service

A, B = "/v1/accounts/pumps", "/v1/accounts/valves"
QUOTA = 6  # new certificates a day


def table():
    """(row, statement) of each statement in the table."""
    text = (programs.CHECKOUT / "SECURITY.md").read_text()
    section = text.split("## What an attacker gains")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")]
            for line in section.splitlines() if line.startswith("|")][2:]
    return {(row, statement) for row, *cells in rows for cell in cells
            for statement in cell.split("; ")}


def rows_with_tests():
    files = (programs.CHECKOUT / "tests" / "e2e").glob("test_compromise_*.py")
    return {row for file in files for row in re.findall(r'= Row\("(.*)"\)', file.read_text())}


class Row:
    """One row, and what the tests show of it."""

    def __init__(self, name):
        self.name, self.shown = name, set()

    def shows(self, *statements):
        self.shown.update(statements)
        return lambda test: test

    def check(self):
        assert self.shown == {statement for row, statement in table() if row == self.name}
        assert rows_with_tests() == {row for row, _ in table()}


def start(processes, folder, publisher, **settings):
    """Two accounts with a device CA each, and operators at a Unix socket and at a port."""
    certificate, key = client_pki.write_pair(folder, "admin", *client_pki.self_signed("localhost"))
    settings = {"admin__listen": "127.0.0.1:0", "admin__certificate": certificate, "admin__key": key,
                "signer__issue_per_day": QUOTA, **settings}
    service = Service(processes, folder / "service", publisher, **settings)
    programs.ok("holdfast-signer", "ca", "new", "ca-2", "--account", "valves", "--config", service.config)
    service.start().with_account()
    service.admin("account", "create", "valves", "--sni", "valves.example")
    service.admin("ca", "register", "--account", "valves", "--signer-ca", "ca-2")
    return service


class Client(api.Client):
    """Asks the service's API; every answer is checked against its description."""

    def __init__(self, service):
        super().__init__(api.Description())
        self.service = service
        self.socket = service.settings["admin"]["socket"]
        self.admin_context = ssl.create_default_context(cafile=service.settings["admin"]["certificate"])
        self.admin_context.check_hostname = False

    @property
    def device(self):
        return f"127.0.0.1:{self.service.port}"

    @property
    def admin(self):
        return re.search(r"for operators on https://(\S+)", self.service.server.err)[1]


def seal_log(service):
    """holdfastd has the log sealed at its start."""
    service.server.stop()
    service.start_server()
    service.wait_until_sealed()
