"""holdfast-admin rollout: what it asks the service for, and what a person reads. The service is a small one of the
test; tests/e2e/test_rollout_fleet.py has the real one."""
import copy
import http.server
import json
import re
import socketserver
import subprocess
import threading

import pytest

import ctl

NAME = "amazon-iot/full/3"
PATH = f"/v1/rollouts/{NAME}"
COUNTS = {"devices": 40, "waiting": 20, "on_trial": 7, "confirmed": 10, "failed": 3, "silent": 0}
REASON = '3 of 40 devices failed: "its endpoint needs the root CN=Old Root"'
ROLLOUT = {
    "set": "amazon-iot", "profile": "full", "version": 3, "sha256": "ab" * 32, "state": "paused", "stage": 1, "stages": 3,
    "since": "2026-11-30T02:14:00Z", "reason": REASON, "not_before": "2026-11-29T00:00:00Z",
    "mandatory_from": "2099-12-12T00:00:00Z", "approval": "signed", "role_version": 7,
    "role_expires": "2026-12-30T00:00:00Z", "is_superseded": False, "is_counted": True, "counts": COUNTS, "due": "nothing",
    "wait": "paused", "wait_text": "an operator resumes or aborts it", "next": None, "stalled_since": None, "plan": {},
    "stage_list": [{"stage": n, "opens": f"2026-11-29T0{n}:00:00Z", "counts": COUNTS if n < 2 else None} for n in range(3)],
    "limits": {"judged": 13, "judged_needed": 20, "confirmed_needed": 38, "failed_max": 1, "silent_max": 2},
    "approvals": [{"kind": "signed", "since": "2026-11-30T02:14:00Z", "stage": 1, "state": "open", "approver": "QUJD", "reason": "seen",
                   "time": "2026-11-30T03:00:00Z"}],
    "approvals_needed": 2, "approvals_given": 1,
    "excluded": [{"id": 5, "account": "pumps", "device": "pump-7", "reason": "flash", "by": "uid:0",
                  "time": "2026-11-30T03:01:00Z"}],
    "intent": None,
}
STEP = {"set": "amazon-iot", "profile": "full", "version": 3, "role_version": 8, "stage": 1, "state": "paused",
        "since": "2026-11-30T04:00:00Z", "reason": "x", "mandatory_from": "2099-12-12T00:00:00Z"}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _handle(self):
        service = self.server
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        key = f"{self.command} {self.path}"
        service.asked.append((key, json.loads(body) if body else None, self.headers.get("If-Match")))
        status, answer = service.answers.get(key, (404, {"title": "not found", "status": 404, "detail": f"no {key}"}))
        if isinstance(answer, list):  # one after the other; the last one stays
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if isinstance(answer, str):
            self._send(status, "text/event-stream", answer.encode())
            return
        kind = "application/json" if status < 400 else "application/problem+json"
        self._send(status, kind, b"" if answer is None else json.dumps(answer).encode())

    def _send(self, status, kind, body):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", '"12"')
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_DELETE = _handle

    def address_string(self):
        return "admin"

    def log_message(self, *_):
        pass


class FakeService(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def __init__(self, path):
        super().__init__(str(path), Handler)
        self.path, self.asked, self.answers = path, [], {f"GET {PATH}": (200, copy.deepcopy(ROLLOUT))}
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def _call(self, *words):
        return subprocess.run([ctl.BIN / "holdfast-admin", "rollout", *words, "--socket", self.path],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=ctl.TIMEOUT_S)

    def ok(self, *words):
        done = self._call(*words)
        assert (done.returncode, done.stderr) == (0, ""), done
        return done.stdout

    def refuses(self, *words, code=1):
        done = self._call(*words)
        assert (done.returncode, done.stdout) == (code, ""), done
        return done.stderr


@pytest.fixture
def service(tmp_path):
    made = FakeService(tmp_path / "admin.sock")
    yield made
    made.shutdown()
    made.server_close()


def posted(service):
    return [(key, body) for key, body, _ in service.asked if not key.startswith("GET ")]


# ---- looking ------------------------------------------------------------------------------------------

def test_show_says_why_it_does_not_go_on(service):
    text = service.ok("show", NAME)
    for line in (r"^state +paused$", r"^stage +2 of 3$", rf"^reason +{re.escape(REASON)}$",
                 r"^next step +an operator resumes or aborts it$",
                 r"^mandatory from +2099-12-12T00:00:00Z \(in \d+ days\)$",
                 r"^approval +signed: 1 of 2 given for the next step$",
                 r"^> 2 +2026-11-29T01:00:00Z +40 +20 +7 +10 +3 +0$",
                 r"^  3 +2026-11-29T02:00:00Z +- +- +- +- +- +-$",
                 r"^judged +13 +at least 20 +no$", r"^confirmed +10 +at least 38 +no$",
                 r"^failed +3 +at most 1 +no$", r"^silent +0 +at most 2 +yes$",
                 r"^signed +QUJD +2026-11-30T03:00:00Z +seen$",
                 r"^pumps +pump-7 +uid:0 +2026-11-30T03:01:00Z +flash$"):
        assert re.search(line, text, re.MULTILINE), (line, text)
    assert json.loads(service.ok("show", NAME, "--json")) == ROLLOUT


def test_show_before_the_first_stage_and_with_a_step_on_its_way(service):
    rollout = {**ROLLOUT, "state": "waiting", "stage": None, "since": None, "reason": None, "counts": None, "limits": None,
               "due": "open", "wait": None, "wait_text": None, "approvals": [], "excluded": [],
               "intent": {"from": 0, "stage": 0, "state": "open", "reason": "begins", "by": "service",
                          "time": "2026-11-30T03:00:00Z"}}
    service.answers[f"GET {PATH}"] = (200, rollout)
    text = service.ok("show", NAME)
    assert re.search(r"^stage +none of 3$", text, re.MULTILINE)
    assert re.search(r"^next step +open$", text, re.MULTILINE)
    assert re.search(r"^asked for +stage 1 open, by service since 2026-11-30T03:00:00Z$", text, re.MULTILINE)
    assert "Conditions" not in text and "not counted" not in text


def test_what_a_device_wrote_does_not_steer_the_terminal(service):
    service.answers[f"GET {PATH}"] = (200, {**ROLLOUT, "reason": "\x1b[2Jgone"})
    assert "\x1b" not in service.ok("show", NAME)


def test_list(service):
    service.answers["GET /v1/rollouts"] = (200, {"rollouts": [ROLLOUT]})
    head, row = service.ok("list").splitlines()
    assert head.split()[:3] == ["rollout", "state", "stage"]
    assert row.split() == [NAME, "paused", "2/3", "40", "20", "7", "10", "3", "0", "2099-12-12T00:00:00Z"]
    assert json.loads(service.ok("list", "--json")) == {"rollouts": [ROLLOUT]}


def test_devices_by_result(service):
    device = {"id": 1, "account": "pumps", "device": "pump-9", "stage": 1, "result": "silent", "since": None, "kind": "swapped",
              "text": None, "endpoint": "tls://broker:1", "root": None, "root_name": "Old Root"}
    service.answers[f"GET {PATH}/devices?result=silent"] = (200, {"devices": [device]})
    assert service.ok("devices", NAME, "--result", "silent").splitlines()[1].split() == [
        "pumps", "pump-9", "1", "silent", "-", "-", "tls://broker:1", "Old", "Root"]


# ---- steps --------------------------------------------------------------------------------------------

@pytest.mark.parametrize("verb", ["pause", "abort"])
def test_a_stop_depends_on_nothing_and_says_until_when_it_holds(service, verb):
    service.answers[f"POST {PATH}/{verb}"] = (200, {**STEP, "state": {"pause": "paused", "abort": "aborted"}[verb]})
    said = service.ok(verb, NAME, "--reason", "bad", *(["--yes"] if verb == "abort" else []))
    assert said.startswith(f"{NAME}: {verb}")
    assert "stage 2\n" in said and "from 2099-12-12T00:00:00Z on (in " in said and "publish a higher" in said
    assert [key for key, _, _ in service.asked] == [f"POST {PATH}/{verb}"]
    assert posted(service) == [(f"POST {PATH}/{verb}", {"reason": "bad"})]


def test_a_reason_is_sent_as_typed(service):
    """The service refuses two lines; nothing else is signed in their place."""
    service.answers[f"POST {PATH}/pause"] = (400, {"title": "invalid", "status": 400, "detail": '"reason": one line'})
    assert "one line" in service.refuses("pause", NAME, "--reason", "two\nlines", code=2)
    assert posted(service) == [(f"POST {PATH}/pause", {"reason": "two\nlines"})]


@pytest.mark.parametrize("verb", ["resume", "promote"])
def test_going_on_names_the_step_that_was_seen(service, verb):
    service.answers[f"POST {PATH}/{verb}"] = (200, {**STEP, "state": "open"})
    said = service.ok(verb, NAME, "--reason", "good", *(["--yes"] if verb == "promote" else []))
    assert said == f"{NAME}: open, stage 2\n"
    assert posted(service) == [(f"POST {PATH}/{verb}", {"reason": "good", "from": 7})]


def test_the_sentence_of_the_signer_is_shown(service):
    detail = "amazon-iot/full/3.pem: stage 2 opens on 2026-12-01T00:00:00Z at the earliest. Wait until then."
    service.answers[f"POST {PATH}/promote"] = (409, {"title": "conflict", "status": 409, "detail": detail})
    assert detail in service.refuses("promote", NAME, "--reason", "hurry", "--yes")


@pytest.mark.parametrize("verb", ["promote", "abort"])
def test_what_cannot_be_taken_back_is_asked(service, verb):
    assert "pass --yes to confirm" in service.refuses(verb, NAME, "--reason", "x", code=2)
    assert posted(service) == []


# ---- approvals, excluded devices -----------------------------------------------------------------------

SINCE = ROLLOUT["since"]


def approval(tmp_path, **change):
    file = tmp_path / "alice.json"
    file.write_text(json.dumps({"path": "amazon-iot/full/3.pem", "since": SINCE, "stage": 1, "state": "open", "approver": "QUJD",
                                "signature": "c2ln", **change}))
    return file


def test_approve_names_the_next_step(service):
    service.answers[f"POST {PATH}/approve"] = (200, ROLLOUT)
    assert service.ok("approve", NAME, "--reason", "seen") == f"{NAME}: stage 2 is approved, 1 of 2\n"
    service.answers[f"GET {PATH}"] = (200, {**ROLLOUT, "state": "open"})
    service.ok("approve", NAME, "--reason", "seen")
    service.answers[f"GET {PATH}"] = (200, {**ROLLOUT, "state": "waiting", "stage": None, "since": None})
    assert "its first stage needs no approval" in service.refuses("approve", NAME, "--reason", "seen")
    assert [body for _, body in posted(service)] == [
        {"since": SINCE, "stage": stage, "state": "open", "reason": "seen"} for stage in (1, 2)]


def test_approve_with_a_signature(service, tmp_path):
    service.answers[f"POST {PATH}/approve"] = (200, ROLLOUT)
    service.ok("approve", NAME, "--reason", "seen", "--approval", approval(tmp_path))
    assert posted(service) == [(f"POST {PATH}/approve", {"since": SINCE, "stage": 1, "state": "open", "approver": "QUJD",
                                                         "signature": "c2ln", "reason": "seen"})]


@pytest.mark.parametrize("change, sentence", [({"path": "amazon-iot/full/4.pem"}, "the approval is for another bundle"),
                                              ({"path": None}, "the approval is for another bundle")])
def test_an_approval_for_something_else_is_not_sent(service, tmp_path, change, sentence):
    file = approval(tmp_path, **change)
    said = service.refuses("approve", NAME, "--reason", "seen", "--approval", file, code=2)
    assert sentence in said and "holdfastctl rollout approve amazon-iot/full/3" in said
    assert service.asked == []


def test_a_damaged_approval_is_not_sent(service, tmp_path):
    file = tmp_path / "bob.json"
    file.write_text('{"path": "amazon-iot/full/3.pem", "since": "x", "stage": 1, "state": "open", "approver": "QUJD"}')
    assert '"signature" is missing' in service.refuses("approve", NAME, "--reason", "x", "--approval", file)
    file.write_text("{")
    service.refuses("approve", NAME, "--reason", "x", "--approval", file)
    assert service.asked == []


def test_exclude_and_include(service):
    device = ["--account", "pumps", "--device", "pump-7"]
    service.answers[f"POST {PATH}/excluded"] = (200, ROLLOUT)
    service.answers[f"DELETE {PATH}/excluded/5"] = (204, None)
    assert "is not counted any more" in service.ok("exclude", NAME, *device, "--reason", "flash")
    assert "is counted again" in service.ok("include", NAME, *device)
    assert posted(service) == [(f"POST {PATH}/excluded", {"account": "pumps", "device": "pump-7", "reason": "flash"}),
                               (f"DELETE {PATH}/excluded/5", None)]
    assert service.asked[-1][2] == '"12"'
    said = service.refuses("include", NAME, "--account", "pumps", "--device", "pump-8")
    assert 'the device "pump-8" of account "pumps" is not excluded' in said


# ---- watch --------------------------------------------------------------------------------------------

def events(*told):
    return "id: r-1\n\n" + "".join(f"event: {kind}\nid: r-2\ndata: {json.dumps(data)}\n\n" for kind, data in told)


OURS = ("rollout-tally", {"set": "amazon-iot", "profile": "full", "version": 3})
ANOTHER = ("rollout-tally", {"set": "amazon-iot", "profile": "full", "version": 4})


def test_watch_prints_each_change_until_it_is_complete(service):
    more = {**ROLLOUT, "state": "open", "counts": {**COUNTS, "confirmed": 11}}
    complete = {**more, "state": "complete", "stage": 2}
    service.answers[f"GET {PATH}"] = (200, [ROLLOUT, ROLLOUT, more, complete])
    service.answers["GET /v1/events"] = (200, events(ANOTHER, ("report", {}), OURS, OURS))
    lines = service.ok("watch", NAME).splitlines()
    assert [line.split(":")[0] for line in lines] == [f"{NAME} paused, stage 2 of 3", f"{NAME} open, stage 2 of 3",
                                                      f"{NAME} complete, stage 3 of 3"]
    assert "10 confirmed, 3 failed, 0 silent. an operator resumes or aborts it" in lines[0] and "11 confirmed" in lines[1]
    assert [key for key, _, _ in service.asked].count(f"GET {PATH}") == 4


def test_watch_as_json(service):
    service.answers[f"GET {PATH}"] = (200, {**ROLLOUT, "state": "complete"})
    service.answers["GET /v1/events"] = (200, events())
    assert [json.loads(line)["state"] for line in service.ok("watch", NAME, "--json").splitlines()] == ["complete"]


def test_watch_fails_when_it_is_aborted(service):
    service.answers[f"GET {PATH}"] = (200, [ROLLOUT, ROLLOUT, {**ROLLOUT, "state": "aborted", "reason": "a root is missing"}])
    service.answers["GET /v1/events"] = (200, events(OURS))
    done = service._call("watch", NAME)
    assert done.returncode == 1 and f"{NAME} was aborted: a root is missing" in done.stderr
    assert len(done.stdout.splitlines()) == 2


def test_watch_of_nothing_fails_at_once(service):
    service.answers = {}
    assert f"no GET {PATH}" in service.refuses("watch", NAME)
    assert len(service.asked) == 1


# ---- names --------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["amazon-iot", "amazon-iot/full", "amazon-iot/full/", "/full/3", "a//3", "a/b/3/4", "../../x",
                                  "a/../3", "a/b/3/"])
def test_a_name_that_is_none_asks_for_nothing(service, name):
    for words in (["show", name], ["devices", name], ["pause", name, "--reason", "x"]):
        assert "names no rollout (expected SET/PROFILE/VERSION" in service.refuses(*words, code=2)
    assert service.asked == []


@pytest.mark.parametrize("words, missing", [(["pause", NAME], "--reason"), (["show"], "SET/PROFILE/VERSION"),
                                            (["exclude", NAME, "--reason", "x", "--account", "a"], "--device")])
def test_what_is_missing_is_named(service, words, missing):
    assert missing in service.refuses(*words, code=2) and service.asked == []
