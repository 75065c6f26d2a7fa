"""holdfast update: what it says, and that other programs are told at least once."""
import functools
import http.server
import json
import sqlite3
import subprocess
import threading

import agent
import ctl
import json_schema
import pytest


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def publisher(tmp_path):
    (tmp_path / "publisher").mkdir()
    made = ctl.Publisher(tmp_path / "publisher")
    file = made.folder / "root.pem"
    file.write_text(agent.Root("A").pem)
    made.add(file)
    return made


@pytest.fixture
def url(publisher):
    handler = functools.partial(Quiet, directory=str(publisher.repo))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


class Told:
    """An on-swap command that writes down what it is told and ends as the test wants it."""

    def __init__(self, folder):
        self.log = folder / "told"
        self.script = folder / "on-swap.sh"
        self.export = folder / "export.pem"
        self.log.write_text("")
        self.ends_with(0)

    def ends_with(self, code):
        self.script.write_text(f'echo "$HOLDFAST_OLD_VERSION $HOLDFAST_NEW_VERSION" >> {self.log}\n'
                               f'cmp -s "$HOLDFAST_EXPORT" {self.export} || exit 99\nexit {code}\n')

    @property
    def options(self):
        return ["--on-swap", f"sh {self.script}", "--export", self.export]

    @property
    def lines(self):
        return self.log.read_text().splitlines()


@pytest.fixture
def told(tmp_path):
    return Told(tmp_path)


@pytest.fixture
def device(tmp_path, publisher, url, told):
    made = agent.Device(tmp_path)
    made.root = publisher.repo / "metadata" / "1.root.json"
    return made.init(*told.options, "--device-id", "test", url=url)


def update(device):
    return agent.ok("--state", device.state, "update")


def refused(device):
    return agent.refused("--state", device.state, "update")


def test_the_line_says_what_has_become_of_it(device, told):
    assert update(device) == "updated roots/full none -> 1\n"
    assert update(device) == "current roots/full 1\n"
    assert told.lines == ["none 1"]


def as_json(device, code):
    outcome = agent.run("--state", device.state, "update", "--json")
    found = json.loads(outcome.out)
    json_schema.check(found, "update.schema.json")
    warnings = outcome.err.splitlines()
    if code == 1:
        warnings.pop()  # the sentence itself
    assert outcome.code == code
    assert warnings == [f"holdfast: warning: {text}" for text in found["warnings"]]
    return found


def test_programs_are_told_every_outcome(device, publisher):
    updated = {"format": 1, "outcome": "updated", "set": "roots", "profile": "full",
               "from_version": None, "to_version": 1, "held_version": None, "recovered": False, "error": None,
               "text": "updated roots/full none -> 1", "warnings": []}
    assert as_json(device, 0) == updated
    current = {**updated, "outcome": "current", "text": "current roots/full 1"}
    assert as_json(device, 0) == current
    publisher.add(publisher.folder / "root.pem")
    agent.ok("--state", device.state, "endpoints", "--endpoint", "mqtts://127.0.0.1:1")
    postponed = as_json(device, 3)
    assert postponed.pop("text").startswith("version 2 waits: mqtts://127.0.0.1:1: no connection")
    assert postponed == {k: v for k, v in {**updated, "outcome": "postponed", "held_version": 2,
                                           "error": "postponed"}.items() if k != "text"}
    agent.ok("--state", device.state, "endpoints", "--none")
    assert as_json(device, 0) == {**updated, "from_version": 1, "to_version": 2,
                                  "text": "updated roots/full 1 -> 2"}
    (publisher.repo / "metadata" / "timestamp.json").rename(publisher.repo / "gone")
    failed = as_json(device, 1)
    assert failed["outcome"] == "failed" and "timestamp.json" in failed["text"]


@pytest.mark.parametrize("command, code", [("true", 0), ("exit 3", 1)])
def test_programs_are_told_of_warnings_too(device, tmp_path, command, code):
    file = tmp_path / "roots.pem"
    for key, value in ("export", file), ("on-swap", command):
        agent.ok("--state", device.state, "config", "set", key, value)
    file.mkdir()
    found = as_json(device, code)
    assert f"the export is not up to date: {file} is not a regular file" in found["warnings"][0]
    assert ("exit status 3" in found["text"]) == (code == 1)


def test_programs_are_told_of_a_device_that_is_none(tmp_path):
    device = agent.Device(tmp_path)
    failed = as_json(device, 1)
    assert (failed["outcome"], failed["set"], failed["profile"]) == ("failed", None, None)
    assert "is not initialised" in failed["text"]


def test_a_command_that_fails_is_said_and_run_again_until_it_succeeds(device, told):
    told.ends_with(3)
    sentence = refused(device)
    assert sentence.startswith("holdfast: bundle roots/full 1 is active, but other programs may not use it")
    assert "the on-swap command ended with exit status 3" in sentence
    assert device.status()["active"]["version"] == 1
    assert "exit status 3" in refused(device)
    told.ends_with(0)
    assert update(device) == "current roots/full 1\n"
    assert update(device) == "current roots/full 1\n"
    assert told.lines == ["none 1"] * 3


def test_an_update_that_fails_still_makes_up_for_a_command_that_failed(device, told, publisher):
    told.ends_with(3)
    refused(device)
    told.ends_with(0)
    (publisher.repo / "metadata" / "timestamp.json").rename(publisher.repo / "gone")
    assert "timestamp.json" in refused(device)
    assert "timestamp.json" in refused(device)
    assert told.lines == ["none 1"] * 2


def test_a_lost_export_is_written_and_told_of(device, told):
    update(device)
    content = told.export.read_text()
    told.export.write_text("lost")
    assert update(device) == "current roots/full 1\n"
    assert told.export.read_text() == content
    assert told.lines == ["none 1", "1 1"]


def test_a_lost_export_is_told_of_until_the_command_succeeds(device, told):
    update(device)
    told.export.write_text("lost")
    told.ends_with(3)
    assert "it is run again by the next update" in refused(device)
    assert "exit status 3" in refused(device)
    told.ends_with(0)
    assert update(device) == "current roots/full 1\n"
    assert update(device) == "current roots/full 1\n"
    assert told.lines == ["none 1", "1 1", "1 1", "1 1"]


def test_an_export_that_cannot_be_written_is_a_warning_and_the_command_runs(device, told):
    told.export.mkdir()
    for line in ("updated roots/full none -> 1\n", "current roots/full 1\n"):
        outcome = agent.run("--state", device.state, "update")
        assert (outcome.code, outcome.out) == (0, line)
        assert outcome.err.startswith("holdfast: warning: the export is not up to date: ")
        assert str(told.export) in outcome.err
    assert told.lines == ["none 1"]
    told.export.rmdir()
    assert update(device) == "current roots/full 1\n"
    assert told.lines == ["none 1", "1 1"]


def test_the_journal_holds_how_the_command_ended(device, told):
    told.ends_with(3)
    refused(device)
    told.ends_with(0)
    update(device)
    connection = sqlite3.connect(f"file:{device.database}?mode=ro", uri=True)
    texts = [t for t, in connection.execute("SELECT text FROM event WHERE kind = 'on-swap' ORDER BY id")]
    connection.close()
    assert texts == ["the on-swap command ended with exit status 3",
                     "the on-swap command ended with exit status 0"]


def test_verbose_says_what_is_done_on_standard_error(device):
    outcome = agent.run("--state", device.state, "update", "--verbose")
    assert (outcome.code, outcome.out) == (0, "updated roots/full none -> 1\n")
    assert all(line.startswith("holdfast: ") for line in outcome.err.splitlines())


def test_verbose_names_the_proxy_without_its_password(device, url):
    agent.ok("--state", device.state, "config", "set", "url", "http://far.example")
    proxy = url.removeprefix("http://")  # which is none, and does not find the file
    outcome = agent.run("-v", "--state", device.state, "update",
                        env=dict(agent.environment(), http_proxy=f"http://me:secret@{proxy}"))
    line, = [x for x in outcome.err.splitlines() if "timestamp.json: HTTP 404" in x]
    assert line.endswith(f", no TLS, proxy {proxy}") and "secret" not in outcome.err


def test_a_link_to_the_active_bundle_is_fit_for_other_programs(device):
    update(device)
    active = device.state / "bundles" / "active"
    assert "BEGIN CERTIFICATE" in active.read_text()
    assert active.readlink().name.endswith(".1.pem")


def spoil(device):
    """As bits that flip in the number of the schema leave it."""
    connection = sqlite3.connect(device.database)
    connection.executescript("PRAGMA user_version = 1; PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def test_one_of_many_restores_the_database_and_all_go_on(device, told):
    update(device)
    for rounds in range(1, 5):
        spoil(device)
        words = [agent.BIN / "holdfast", "--state", device.state]
        running = [subprocess.Popen([*words, command], stdout=subprocess.PIPE,
                                    stderr=subprocess.PIPE, text=True)
                   for command in ["status", "update"] * 3]
        ends = [(*process.communicate(timeout=60), process.returncode) for process in running]
        assert [code for _, _, code in ends] == [0] * len(ends), ends
        assert "current roots/full 1\n" in [out for out, _, _ in ends]
        connection = sqlite3.connect(device.database)
        (n,), = connection.execute("SELECT count(*) FROM event WHERE kind = 'restored'")
        connection.close()
        assert n == rounds
