"""holdfastd as a process: its options, its files, its signals, its end."""
import json
import os
import re
import resource
import signal
import socket
import stat
import subprocess
import time

import pytest

from holdfastd_process import HOLDFASTD, Server, request, wait_until
from tuf_publisher import Repository

TIMESTAMP = "/metadata/timestamp.json"
GET = request("GET", TIMESTAMP)
BIG = bytes(range(256)) * 65536  # 16 MiB


@pytest.fixture(scope="module")
def repo(tmp_path_factory):
    repo = Repository(tmp_path_factory.mktemp("repo"))
    repo.targets = {"big.bin": BIG}
    repo.publish()
    return repo


def run(*args):
    return subprocess.run([HOLDFASTD, *map(str, args)], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=20)


@pytest.mark.parametrize("args, sentence", [
    ([], "--repo DIR is missing: the repository to serve"),
    (["--repo", "r"], "--listen ADDRESS:PORT is missing"),
    (["--repo", "r", "--listen", "localhost:1"], "not 'localhost:1'"),
    (["--repo", "r", "--listen", "127.0.0.1"], "not '127.0.0.1'"),
    (["--repo", "r", "--listen", "127.0.0.1:"], "not '127.0.0.1:'"),
    (["--repo", "r", "--listen", "127.0.0.1:65536"], "not '127.0.0.1:65536'"),
    (["--repo", "r", "--listen", "127.0.0.1:-1"], "not '127.0.0.1:-1'"),
    (["--repo", "r", "--listen", "::1:80"], "not '::1:80'"),
    (["--repo", "r", "--listen", "127.0.0.1:0", "--loops", "0"], "--loops is a number from 1 to 256, not 0"),
    (["--repo", "r", "--listen", "127.0.0.1:0", "--loops", "257"], "--loops is a number from 1 to 256"),
    (["--repo", "r", "--listen", "127.0.0.1:0", "--loops", "x"], "'x' is not a whole number"),
    (["--repo", "r", "--listen", "127.0.0.1:0", "--loops", "99999999999"], "'99999999999' is not a whole"),
    (["--repo", "r", "--listen", "127.0.0.1:0", "--max-connections", "-5"], "--max-connections"),
    (["--repo", "r", "--listen", "127.0.0.1:0", "--header-timeout", "0"], "--header-timeout"),
    (["--repo", "r", "--listen", "127.0.0.1:0", "--idle-timeout", "99999999"], "--idle-timeout"),
    (["--repo", "r", "--listen", "127.0.0.1:0", "--wat"], "--wat"),
    (["--repo", "r", "--listen", "127.0.0.1:0", "stray"], "'stray' is not an option"),
])
def test_a_wrong_command_line_is_a_sentence(args, sentence):
    r = run(*args)
    assert (r.returncode, r.stdout) == (2, "")
    assert r.stderr.startswith("holdfastd: ") and r.stderr.count("\n") == 1
    assert sentence in r.stderr


def test_help_and_version_are_no_failure():
    r = run("--help")
    assert (r.returncode, r.stderr) == (0, "") and "--access-log" in r.stdout
    r = run("--version")
    assert (r.returncode, r.stderr) == (0, "") and re.fullmatch(r"holdfastd \d+\.\d+\.\d+\n", r.stdout)


def test_an_address_in_use_is_a_sentence(repo):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        r = run("--repo", repo.folder, "--listen", f"127.0.0.1:{port}")
    assert (r.returncode, r.stdout) == (1, "")
    assert r.stderr == f"holdfastd: cannot listen on 127.0.0.1:{port}: Address already in use\n"


def test_two_servers_do_not_share_one_address(repo):
    with Server(repo.folder, "--loops", "2") as s:
        r = run("--repo", repo.folder, "--listen", f"127.0.0.1:{s.port}")
        assert r.returncode == 1 and "Address already in use" in r.stderr


def test_an_address_is_free_again_after_the_end(repo):
    with Server(repo.folder) as s:
        assert s.get(TIMESTAMP).status == 200
        with s.connect() as c:  # the server closes first: TIME_WAIT is on its side
            c.send(request("GET", TIMESTAMP, "Connection: close"))
            assert c.answer().status == 200 and c.is_closed()
    with Server(repo.folder, listen=f"127.0.0.1:{s.port}") as again:
        assert again.port == s.port


def test_ipv6(repo):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    with Server(repo.folder, listen="[::1]:0") as s:
        assert s.lines_with("listening on http://[::1]:")
        with socket.create_connection(("::1", s.port), 10) as c:
            c.sendall(GET)
            assert c.recv(1000).startswith(b"HTTP/1.1 200 OK")


def test_every_loop_serves(repo):
    with Server(repo.folder, "--loops", "4") as s:
        assert s.lines_with("(4 loops)")
        clients = [s.connect() for _ in range(64)]
        for c in clients:
            c.send(GET)
        for c in clients:
            assert c.answer().status == 200
            c.socket.close()
        # All threads did something: the kernel spreads 64 connections over 4 sockets.
        threads = f"/proc/{s.process.pid}/task"
        assert len(os.listdir(threads)) >= 5


# ---- state -----------------------------------------------------------------------------------------


def test_a_state_folder_belongs_to_one_server(repo, tmp_path):
    state = tmp_path / "state"
    with Server(repo.folder, "--state", state) as s:
        assert stat.S_IMODE(state.stat().st_mode) == 0o700
        assert (state / "holdfastd.lock").read_text() == f"{s.process.pid}\n"
        r = run("--repo", repo.folder, "--listen", "127.0.0.1:0", "--state", state)
        assert (r.returncode, r.stdout) == (1, "")
        assert f"belongs to a holdfastd that runs (process {s.process.pid})" in r.stderr
        assert s.get(TIMESTAMP).status == 200
    with Server(repo.folder, "--state", state):
        pass


def test_a_state_folder_that_cannot_be_is_a_sentence(repo, tmp_path):
    (tmp_path / "file").write_text("")
    for state in (tmp_path / "no" / "folder", tmp_path / "file"):
        r = run("--repo", repo.folder, "--listen", "127.0.0.1:0", "--state", state)
        assert (r.returncode, r.stdout) == (1, "")
        assert f"holdfastd: the state folder {state} cannot be " in r.stderr


# ---- signals ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_at_once_when_nothing_is_under_way(repo, number):
    with Server(repo.folder, "--loops", "3") as s:
        idle = s.connect()
        idle.send(GET)
        assert idle.answer().status == 200
        begin = time.monotonic()
        assert s.stop(number) == 0
        assert time.monotonic() - begin < 5
        assert idle.is_closed()
        with pytest.raises(OSError):
            s.connect()


def test_a_large_answer_under_way_is_finished(repo):
    name = "/" + repo.target_name("big.bin", BIG)
    with Server(repo.folder) as s:
        with s.connect() as c:
            # The second is in the server's hands, but not begun.
            c.send(request("GET", name) + GET)
            assert c.more()
            s.process.send_signal(signal.SIGTERM)
            s.wait_for_line("stopping: ")
            time.sleep(0.3)
            with pytest.raises(OSError):
                s.connect()
            assert c.answer().body == BIG
            a = c.answer()
            assert (a.status, a.headers["connection"]) == (200, "close")
            assert c.is_closed()
        assert s.process.wait(5) == 0


def test_a_request_that_is_arriving_is_answered(repo):
    with Server(repo.folder) as s, s.connect() as c:
        c.send(GET[:20])
        time.sleep(0.3)
        s.process.send_signal(signal.SIGTERM)
        s.wait_for_line("stopping: ")
        time.sleep(0.2)
        c.send(GET[20:])
        a = c.answer()
        assert (a.status, a.headers["connection"]) == (200, "close")
        assert s.process.wait(5) == 0


def test_a_client_that_never_ends_does_not_keep_it_alive(repo):
    name = "/" + repo.target_name("big.bin", BIG)
    with Server(repo.folder) as s, s.connect() as c, s.connect() as half:
        c.send(request("GET", name))
        half.send(GET[:20])
        assert c.more()
        begin = time.monotonic()
        assert s.stop() == 0
        assert 5 < time.monotonic() - begin < 15


def test_a_second_signal_ends_it_now(repo):
    name = "/" + repo.target_name("big.bin", BIG)
    s = Server(repo.folder)
    with s.connect() as c:
        c.send(request("GET", name))
        assert c.more()
        s.process.send_signal(signal.SIGTERM)
        s.wait_for_line("stopping: ")
        time.sleep(0.5)
        assert s.stop() == -signal.SIGTERM


# ---- access log ------------------------------------------------------------------------------------


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_each_answer_is_a_line(repo, tmp_path):
    log = tmp_path / "access.jsonl"
    with Server(repo.folder, "--access-log", log) as s:
        with s.connect() as c:
            port = c.socket.getsockname()[1]
            c.send(request("GET", TIMESTAMP + "?q", "User-Agent: test/1"))
            size = len(c.answer().body)
            c.send(request("HEAD", "/nothing") + request("POST", "/x"))
            c.answer(is_head=True)
            refused = len(c.answer().body)
            c.send(b"garbage\r\n\r\n")
            c.answer()
        wait_until(lambda: log.exists() and len(lines_of(log)) == 4, "four lines")
    assert stat.S_IMODE(log.stat().st_mode) & 0o137 == 0
    first, head, post, bad = lines_of(log)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", first.pop("time"))
    assert first == {"peer": f"127.0.0.1:{port}", "method": "GET", "status": 200, "bytes": size,
                     "target": TIMESTAMP + "?q", "agent": "test/1"}
    assert (head["method"], head["status"], head["bytes"]) == ("HEAD", 404, 0)
    assert (post["method"], post["status"], post["bytes"]) == ("POST", 405, refused)
    assert bad["status"] == 400


def test_hostile_bytes_stay_inside_their_line(repo, tmp_path):
    log = tmp_path / "access.jsonl"
    target = '/"},{"status":1\\\\\x7f'.encode() + b"\xff\xfe\xc3\xa9" + b"a" * 3000
    with Server(repo.folder, "--access-log", log) as s:
        s.ask(b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        s.ask(request("GET", "/", 'User-Agent: "}\\\t\xff' + "b" * 500))
        s.ask(request("GET", "/" + '"\\' * 1000))
    assert log.read_bytes().isascii()
    lines = lines_of(log)
    assert len(lines) == 3
    assert lines[1]["agent"].startswith('"}\\\t\xff') and len(lines[1]["agent"]) == 128
    assert lines[2]["target"] == "/" + '"\\' * 1000


def test_the_log_goes_to_standard_output_whole(repo):
    with Server(repo.folder, "--access-log", "-", "--loops", "2") as s:
        for _ in range(3):
            with s.connect() as c:
                c.send(GET * 500)
                for _ in range(500):
                    c.answer()
        s.process.send_signal(signal.SIGTERM)
        lines = s.process.stdout.read().splitlines()
    assert [json.loads(line)["status"] for line in lines] == [200] * 1500


def test_a_log_reader_that_stops_does_not_stop_the_server(repo):
    """Standard output is a pipe that nobody reads: lines are lost and counted, answers are not."""
    with Server(repo.folder, "--access-log", "-") as s:
        with s.connect() as c:
            for _ in range(100):
                c.send(GET * 100)
                for _ in range(100):
                    assert c.answer().status == 200
        begin = time.monotonic()
        s.process.send_signal(signal.SIGTERM)
        assert s.process.wait(20) == 0
        assert time.monotonic() - begin < 10


def test_hangup_opens_the_log_anew(repo, tmp_path):
    log = tmp_path / "access.jsonl"
    with Server(repo.folder, "--access-log", log) as s:
        s.get(TIMESTAMP)
        wait_until(lambda: len(lines_of(log)) == 1, "the first line")
        os.rename(log, tmp_path / "rotated")
        s.process.send_signal(signal.SIGHUP)
        wait_until(log.exists, "the new file")
        s.get("/nothing")
        wait_until(lambda: len(lines_of(log)) == 1, "the second line")
    assert lines_of(log)[0]["status"] == 404
    assert len(lines_of(tmp_path / "rotated")) == 1


def test_a_log_that_cannot_be_opened_is_a_sentence(repo, tmp_path):
    r = run("--repo", repo.folder, "--listen", "127.0.0.1:0", "--access-log", tmp_path / "no" / "file")
    assert (r.returncode, r.stdout) == (1, "")
    assert r.stderr.startswith("holdfastd: the access log ") and "No such file" in r.stderr


def test_a_full_disk_loses_lines_and_says_so_once(repo):
    if not os.path.exists("/dev/full"):
        pytest.skip("/dev/full is not here")
    with Server(repo.folder, "--access-log", "/dev/full") as s:
        for _ in range(2):
            assert s.get(TIMESTAMP).status == 200
            time.sleep(1.2)
        assert len(s.lines_with("the access log /dev/full cannot be written: No space left")) == 1


def test_without_the_option_there_is_no_log(repo):
    with Server(repo.folder, "--access-log", "off") as s:
        assert s.get(TIMESTAMP).status == 200
        s.process.send_signal(signal.SIGTERM)
        assert s.process.stdout.read() == ""


def test_descriptors_are_raised_to_the_hard_limit(repo):
    with Server(repo.folder) as s:
        soft, hard = resource.prlimit(s.process.pid, resource.RLIMIT_NOFILE)
        assert soft == hard
