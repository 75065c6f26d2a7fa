"""holdfastd as a process: its options, its files, its signals, its end."""
import json
import os
import re
import resource
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time

import pytest

from holdfastd_process import HOLDFASTD, LINE, WAIT_S, Server, request, wait_until
from supervisor import Supervisor
from tuf_publisher import Repository

TIMESTAMP = "/metadata/timestamp.json"
GET = request("GET", TIMESTAMP)
BIG = bytes(range(256)) * 8192  # 2 MiB: more than sockets take before they are read


@pytest.fixture(scope="module")
def repo(tmp_path_factory):
    repo = Repository(tmp_path_factory.mktemp("repo"))
    repo.targets = {"big.bin": BIG}
    repo.publish()
    return repo


def run(*args, **how):
    return subprocess.run([HOLDFASTD, *map(str, args)], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=WAIT_S, **how)


HERE = ["--repo", "r", "--listen", "127.0.0.1:0"]


@pytest.mark.parametrize("args, sentence", [
    ([], "--repo DIR is missing: the repository to serve"),
    (["--repo", "r"], "--listen ADDRESS:PORT is missing"),
    (["--repo", "r", "--listen", "localhost:1"], 'found "localhost:1"'),
    (["--repo", "r", "--listen", "127.0.0.1"], 'found "127.0.0.1"'),
    (["--repo", "r", "--listen", "127.0.0.1:"], 'found "127.0.0.1:"'),
    (["--repo", "r", "--listen", "127.0.0.1:65536"], 'found "127.0.0.1:65536"'),
    (["--repo", "r", "--listen", "127.0.0.1:-1"], 'found "127.0.0.1:-1"'),
    (["--repo", "r", "--listen", "::1:80"], 'found "::1:80"'),
    ([*HERE, "--loops", "0"], "--loops: expected a number from 1 to 256, found 0"),
    ([*HERE, "--loops", "257"], "--loops: expected a number from 1 to 256"),
    ([*HERE, "--loops", "x"], '"x": expected a whole number'),
    ([*HERE, "--loops", "99999999999"], '"99999999999": expected a whole number'),
    ([*HERE, "--max-connections", "-5"], "--max-connections: expected"),
    ([*HERE, "--max-per-address", "0"], "--max-per-address: expected"),
    ([*HERE, "--header-timeout", "0"], "--header-timeout: expected"),
    ([*HERE, "--idle-timeout", "99999999"], "--idle-timeout: expected"),
    ([*HERE, "--unheard-of"], "--unheard-of: unknown option. See `holdfastd --help`"),
    ([*HERE, "-x"], "-x: unknown option. See `holdfastd --help`"),
    ([*HERE, "--loop", "2"], "--loop: unknown option (did you mean --loops?). See"),
    (["--repos", "r"], "--repos: unknown option (did you mean --repo?). See"),
    (["--lisetn=127.0.0.1:0"], "--lisetn=127.0.0.1:0: unknown option (did you mean --listen?). See"),
    ([*HERE, "stray"], 'unexpected argument "stray". See `holdfastd --help`'),
    (["help", "stray"], 'unexpected argument "help"'),
])
def test_a_wrong_command_line_is_a_sentence(args, sentence):
    r = run(*args)
    assert (r.returncode, r.stdout) == (2, "")
    assert r.stderr.startswith("holdfastd: ") and r.stderr.count("\n") == 1
    assert sentence in r.stderr


def test_help_and_version_are_no_failure():
    r = run("--help")
    assert (r.returncode, r.stderr) == (0, "") and "--access-log" in r.stdout
    assert r.stdout == run("help").stdout == run("-h").stdout
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "JOURNAL_STREAM"):
        assert name in r.stdout
    r = run("--version")
    assert (r.returncode, r.stderr) == (0, "") and re.fullmatch(r"holdfastd \d+\.\d+\.\d+\n", r.stdout)
    assert r.stdout == run("-V").stdout


def test_output_that_cannot_be_written_is_no_success():
    with open("/dev/full", "w") as full:
        r = subprocess.run([HOLDFASTD, "--help"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert (r.returncode, r.stderr) == (1, "holdfastd: standard output could not be written\n")


def failure(*args, **how):
    """The sentence of a start that fails."""
    r = run(*args, **how)
    assert (r.returncode, r.stdout, r.stderr.count("\n")) == (1, "", 1)
    assert re.match(LINE, r.stderr)[1] == "error"
    return re.sub(LINE, "", r.stderr)


def test_an_address_in_use_is_a_sentence(repo):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = failure("--repo", repo.folder, "--listen", f"127.0.0.1:{port}")
    assert said == f"cannot listen on 127.0.0.1:{port}: Address already in use\n"


def test_a_repository_that_is_not_there_is_a_sentence(tmp_path):
    """A typing error must not look like a server that runs."""
    for folder, why in ((tmp_path / "typo", "the repository {} cannot be opened: No such file"),
                        (tmp_path, "{} is not a repository: metadata/timestamp.json: No such file")):
        state = tmp_path / "state"
        said = failure("--repo", folder, "--listen", "127.0.0.1:0", "--state", state)
        assert said.startswith(why.format(folder)) and "--wait" in said
        assert not state.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to act as another user")
@pytest.mark.parametrize("part, mode", [("targets", 0o700), ("metadata/timestamp.json", 0o600)])
def test_a_repository_that_the_user_may_not_read_is_a_sentence(repo, part, mode):
    """As rsync leaves it with the umask of root."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        shutil.copytree(repo.folder, f"{folder}/repo")
        os.chmod(f"{folder}/repo", 0o755)
        os.chmod(f"{folder}/repo/{part}", mode)
        said = failure("--repo", f"{folder}/repo", "--listen", "127.0.0.1:0", user=65534, group=65534,
                       extra_groups=[])
    assert said == (f"the repository {folder}/repo cannot be read by this user: {part}: Permission denied. "
                    "Let the user read it (chmod, chown)\n")


def test_two_servers_do_not_share_one_address(repo):
    with Server(repo.folder, "--loops", "2") as s:
        said = failure("--repo", repo.folder, "--listen", f"127.0.0.1:{s.port}")
        assert "Address already in use" in said


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
        said = failure("--repo", repo.folder, "--listen", "127.0.0.1:0", "--state", state)
        assert f"belongs to a holdfastd that runs (process {s.process.pid})" in said
        assert s.get(TIMESTAMP).status == 200
    with Server(repo.folder, "--state", state):
        pass


def test_a_state_folder_that_cannot_be_is_a_sentence(repo, tmp_path):
    (tmp_path / "file").write_text("")
    for state in (tmp_path / "no" / "folder", tmp_path / "file"):
        said = failure("--repo", repo.folder, "--listen", "127.0.0.1:0", "--state", state)
        assert said.startswith(f"the state folder {state} cannot be ")


# ---- signals ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_at_once_when_nothing_is_under_way(repo, number):
    with Server(repo.folder, "--loops", "3") as s:
        idle = s.connect()
        idle.send(GET)
        assert idle.answer().status == 200
        assert s.stop(number) == 0
        assert idle.is_closed()
        with pytest.raises(OSError):
            s.connect()


def is_refused(server):
    try:
        server.connect().socket.close()
        return False
    except OSError:
        return True


def test_a_large_answer_under_way_is_finished(repo):
    name = "/" + repo.target_name("big.bin", BIG)
    with Server(repo.folder) as s:
        with s.connect() as c:
            # The second is in the server's hands, but not begun.
            c.send(request("GET", name) + GET)
            assert c.more()
            s.process.send_signal(signal.SIGTERM)
            wait_until(lambda: is_refused(s), "it to accept no more")
            assert c.answer().body == BIG
            a = c.answer()
            assert (a.status, a.headers["connection"]) == (200, "close")
            assert c.is_closed()
        assert s.process.wait(WAIT_S) == 0


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
        assert s.process.wait(WAIT_S) == 0


def test_a_client_that_never_ends_does_not_keep_it_alive(repo):
    name = "/" + repo.target_name("big.bin", BIG)
    with Server(repo.folder) as s, s.connect() as c, s.connect() as half:
        c.send(request("GET", name))
        half.send(GET[:20])
        assert c.more()
        begin = time.monotonic()
        assert s.stop() == 0
        assert time.monotonic() - begin > 5


def test_a_second_signal_ends_it_now(repo):
    name = "/" + repo.target_name("big.bin", BIG)
    s = Server(repo.folder)
    with s.connect() as c:
        c.send(request("GET", name))
        assert c.more()
        s.process.send_signal(signal.SIGTERM)
        s.wait_for_line("stopping: ")
        while s.process.poll() is None:  # one that comes before it stops to listen is none
            s.process.send_signal(signal.SIGTERM)
            time.sleep(0.05)
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
    """Standard output is a pipe without a reader: lines are lost and counted, answers are not."""
    with Server(repo.folder, "--access-log", "-") as s:
        with s.connect() as c:
            for _ in range(100):
                c.send(GET * 100)
                for _ in range(100):
                    assert c.answer().status == 200
        s.process.send_signal(signal.SIGTERM)
        assert s.process.wait(WAIT_S) == 0


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
    said = failure("--repo", repo.folder, "--listen", "127.0.0.1:0", "--access-log",
                   tmp_path / "no" / "file")
    assert said.startswith("the access log ") and "No such file" in said


def test_a_full_disk_loses_lines_and_says_so_once(repo):
    if not os.path.exists("/dev/full"):
        pytest.skip("/dev/full is not here")
    with Server(repo.folder, "--access-log", "/dev/full") as s:
        assert s.get(TIMESTAMP).status == 200
        said = "the access log /dev/full cannot be written: No space left"
        s.wait_for_line(said)
        assert s.get(TIMESTAMP).status == 200
        assert s.stop() == 0  # what is left is written at the end
        assert len(s.lines_with(said)) == 1


def test_a_named_pipe_needs_no_reader(repo, tmp_path):
    log = tmp_path / "log"
    os.mkfifo(log)
    with Server(repo.folder, "--access-log", log) as s:
        assert s.get(TIMESTAMP).status == 200
        with open(log) as reader:  # what was written before is there
            assert json.loads(reader.readline())["status"] == 200
        s.process.send_signal(signal.SIGHUP)
        assert s.get("/nothing").status == 404
        with open(log) as reader:  # another one
            assert json.loads(reader.readline())["status"] == 404


def test_a_named_pipe_that_is_full_stops_nothing(repo, tmp_path):
    log, file = tmp_path / "log", tmp_path / "file"
    os.mkfifo(log)
    with Server(repo.folder, "--access-log", log) as s:
        with s.connect() as c:
            for _ in range(50):
                c.send(GET * 100)
                for _ in range(100):
                    assert c.answer().status == 200
        # A file in its place is written at once.
        log.rename(tmp_path / "old")
        s.process.send_signal(signal.SIGHUP)
        wait_until(log.exists, "the new file")
        assert s.get("/nothing").status == 404
        wait_until(lambda: any('"status":404' in line for line in log.read_text().splitlines()),
                   "its line")
    os.mkfifo(file)
    with Server(repo.folder, "--access-log", file) as s, s.connect() as c:
        for _ in range(50):
            c.send(GET * 100)
            for _ in range(100):
                assert c.answer().status == 200
        c.socket.close()
        assert s.stop() == 0


def test_a_socket_is_no_access_log(repo, tmp_path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        said = failure("--repo", repo.folder, "--listen", "127.0.0.1:0", "--access-log",
                       tmp_path / "socket")
    assert said.startswith("the access log ") and "No such device or address" in said


def test_a_log_line_that_was_cut_is_ended_first(repo, tmp_path):
    """A limit of the file's size stands for a disk that was full and is not any more."""
    log = tmp_path / "log"
    with Server(repo.folder, "--access-log", log) as s:
        resource.prlimit(s.process.pid, resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
        assert s.get(TIMESTAMP).status == 200
        s.wait_for_line("cannot be written: File too large")
        resource.prlimit(s.process.pid, resource.RLIMIT_FSIZE,
                         (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        assert s.get("/nothing").status == 404
    cut, whole = log.read_text().splitlines()
    assert len(cut) == 100
    assert json.loads(whole)["status"] == 404


def test_without_the_option_there_is_no_log(repo):
    with Server(repo.folder, "--access-log", "off") as s:
        assert s.get(TIMESTAMP).status == 200
        s.process.send_signal(signal.SIGTERM)
        assert s.process.stdout.read() == ""


def test_descriptors_are_raised_to_the_hard_limit(repo):
    with Server(repo.folder) as s:
        soft, hard = resource.prlimit(s.process.pid, resource.RLIMIT_NOFILE)
        assert soft == hard


# ---- under systemd ---------------------------------------------------------------------------------


@pytest.fixture
def supervisor(tmp_path):
    supervisor = Supervisor(tmp_path)
    yield supervisor
    supervisor.close()


def test_the_supervisor_hears_of_its_life(repo, supervisor):
    with Server(repo.folder, environment={"NOTIFY_SOCKET": supervisor.path}) as s:
        assert supervisor.wait_for("STATUS=") == "STATUS=serving timestamp 1"
        assert supervisor.wait_for("READY") == "READY=1"
        assert s.get(TIMESTAMP).status == 200
        s.process.send_signal(signal.SIGHUP)
        assert re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=\d+", supervisor.wait_for("RELOADING"))
        assert supervisor.wait_for("READY") == "READY=1"
        s.process.send_signal(signal.SIGTERM)
        assert supervisor.wait_for("STOPPING") == "STOPPING=1"
        assert s.process.wait(WAIT_S) == 0
    assert not any("WATCHDOG" in message for message in supervisor.heard)


def test_the_supervisor_hears_what_is_wrong(supervisor, tmp_path):
    with Server(tmp_path / "later", "--wait", environment={"NOTIFY_SOCKET": supervisor.path}):
        said = supervisor.wait_for("STATUS=")
        assert said.startswith("STATUS=serving nothing: the folder cannot be opened")
        supervisor.wait_for("READY=1")


def test_the_watchdog_hears_of_idle_and_of_busy_loops(repo, supervisor):
    """Of one that hangs it does not: tests/unit/test_serve_loop."""
    environment = {"NOTIFY_SOCKET": supervisor.path, "WATCHDOG_USEC": "400000"}
    with Server(repo.folder, "--loops", "2", environment=environment) as s:
        for _ in range(3):
            supervisor.wait_for("WATCHDOG=1")
        assert s.get(TIMESTAMP).status == 200
        supervisor.wait_for("WATCHDOG=1")


def test_another_process_has_the_watchdog(repo, supervisor):
    environment = {"NOTIFY_SOCKET": supervisor.path, "WATCHDOG_USEC": "200000", "WATCHDOG_PID": "1"}
    with Server(repo.folder, environment=environment) as s:
        supervisor.wait_for("READY=1")
        for _ in range(5):  # each is a look at the folder, some of a second after the one before
            s.process.send_signal(signal.SIGHUP)
            supervisor.wait_for("READY=1")
        s.stop()
        supervisor.wait_for("STOPPING=1")
    assert "WATCHDOG=1" not in supervisor.heard


def test_lines_for_the_journal_have_a_priority(repo, tmp_path):
    file = tmp_path / "journal"
    with open(file, "wb") as journal:
        st = os.fstat(journal.fileno())
        for stream, front in ((f"{st.st_dev}:{st.st_ino}", "<3>"), (f"{st.st_dev}:1", None)):
            journal.truncate(0)
            r = subprocess.run([HOLDFASTD, "--repo", tmp_path / "no", "--listen", "127.0.0.1:0"],
                               stderr=journal, env=dict(os.environ, JOURNAL_STREAM=stream))
            assert r.returncode == 1
            line = file.read_text().lstrip("\0")
            assert line.startswith(front + "the repository ") if front else re.match(LINE, line)


def test_standard_error_that_nobody_reads_stops_nothing(repo):
    """A pipe that is full, as of a log reader that hangs."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with pytest.raises(BlockingIOError):
        while True:
            os.write(writing, b"x" * 4096)
    os.set_blocking(writing, True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen([HOLDFASTD, "--repo", repo.folder, "--listen", f"127.0.0.1:{port}"],
                               stderr=writing)
    try:
        def answers():
            try:
                with socket.create_connection(("127.0.0.1", port), WAIT_S) as c:
                    c.sendall(GET)
                    return c.recv(12) == b"HTTP/1.1 200"
            except ConnectionRefusedError:
                return False
        wait_until(answers, "an answer")
        os.read(reading, 1 << 20)  # and what was lost is said
        process.send_signal(signal.SIGTERM)
        assert process.wait(WAIT_S) == 0
        os.close(writing)
        said = b""
        while part := os.read(reading, 65536):
            said += part
        assert b"lines were lost: standard error took no more" in said
        assert b"stopping: " in said
    finally:
        process.kill()
        process.wait()
        os.close(reading)
