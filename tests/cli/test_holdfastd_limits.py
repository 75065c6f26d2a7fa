"""Clients that are slow, many, or gone: each costs itself, none costs the others."""
import os
import shutil
import signal
import socket
import struct
import subprocess
import time

import pytest

from holdfastd_process import WAIT_S, Server, request, wait_until
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


def test_a_head_that_drips_is_ended_with_408(repo):
    with Server(repo.folder, "--header-timeout", 2) as s, s.connect() as c:
        begin = time.monotonic()
        c.socket.settimeout(0.2)
        c.send(b"GET / HTTP/1.1\r\n")
        while True:  # a byte now and then does not help
            try:
                c.more()
                break
            except TimeoutError:
                c.send(b"X")
            # Others are served meanwhile.
            assert s.get(TIMESTAMP).status == 200
        a = c.answer()
        assert (a.status, a.headers["connection"]) == (408, "close")
        assert time.monotonic() - begin > 1.5
        c.socket.settimeout(WAIT_S)
        assert c.is_closed()


def test_many_slow_heads_do_not_hold_up_others(repo):
    with Server(repo.folder, "--header-timeout", 600) as s:
        slow = [s.connect() for _ in range(300)]
        for c in slow:
            c.send(b"GET /metadata/timestamp.json HTT")
        with s.connect() as c:
            for _ in range(200):
                c.send(GET)
                assert c.answer().status == 200
        # One that finishes in time is answered.
        slow[7].send(b"P/1.1\r\nHost: a\r\n\r\n")
        assert slow[7].answer().status == 200
        for c in slow:
            c.socket.close()


def test_a_client_that_says_nothing_is_closed_without_a_word(repo):
    with Server(repo.folder, "--header-timeout", 1) as s, s.connect() as c:
        assert c.is_closed()


def test_an_idle_connection_is_closed_after_its_time(repo):
    with Server(repo.folder, "--idle-timeout", 6) as s, s.connect() as c:
        begin = time.monotonic()
        while time.monotonic() - begin < 8:  # the time limit restarts with each request
            c.send(GET)
            assert c.answer().status == 200
            time.sleep(1)
        begin = time.monotonic()
        assert c.is_closed()
        assert time.monotonic() - begin > 3


def test_connections_beyond_the_limit_wait_until_one_closes(repo):
    with Server(repo.folder, "--max-connections", 3) as s:
        held = [s.connect() for _ in range(3)]
        for c in held:
            c.send(GET)
            assert c.answer().status == 200
        with s.connect(timeout=1.0) as waiting:
            waiting.send(GET)
            with pytest.raises(TimeoutError):
                waiting.more()
            s.wait_for_line("accepting pauses with 3 connections")
            held[1].send(GET)  # those inside are served
            assert held[1].answer().status == 200
            held[0].socket.close()
            waiting.socket.settimeout(WAIT_S)
            assert waiting.answer().status == 200
        for c in held:
            c.socket.close()
        assert s.get(TIMESTAMP).status == 200


def test_an_address_has_only_so_many_connections(repo):
    with Server(repo.folder, "--max-per-address", 3) as s:
        held = [s.connect() for _ in range(3)]
        for c in held:
            c.send(GET)
            assert c.answer().status == 200
        for _ in range(2):
            with s.connect() as one_more:
                assert is_turned_away(one_more)
        # Another address, also of this machine, is none of theirs.
        with socket.create_connection(("127.0.0.1", s.port), WAIT_S, ("127.0.0.2", 0)) as other:
            other.sendall(GET)
            assert other.recv(12) == b"HTTP/1.1 200"
        held[0].socket.close()
        wait_until(lambda: not has_no_place(s), "a free place")
        for c in held[1:]:
            c.socket.close()
        words = "has 3 connections open, the most that --max-per-address allows"
        wait_until(lambda: s.lines_with(words), "the warning")
        said = s.lines_with(words)
        assert len(said) == 1 and "holdfastd warning: the client 127.0.0.1:" in said[0]


def is_turned_away(client):
    try:
        client.send(GET)
        return not client.more()
    except OSError:
        return True


def has_no_place(server):
    with server.connect() as c:
        return is_turned_away(c)


def queued_in_kernel(server):
    """Bytes that the kernel holds for connections of this server, by /proc/net/tcp."""
    with open("/proc/net/tcp") as f:
        rows = [line.split() for line in f][1:]
    port = f"0100007F:{server.port:04X}"
    return [int(row[4].split(":")[0], 16) for row in rows if row[1] == port and row[3] == "01"]


def test_what_a_client_does_not_read_is_bounded(repo):
    """Also by the kernel, which would otherwise take megabytes for each of them."""
    name = "/" + repo.target_name("big.bin", BIG)
    with Server(repo.folder) as s:
        # A client that read fast has a wide window, and the kernel trusts it.
        stuck = [s.connect() for _ in range(10)]
        for c in stuck:
            c.send(request("GET", name))
            assert c.answer().body == BIG
            c.send(request("GET", name) * 3)
        settled = []
        wait_until(lambda: settled.append(queued_in_kernel(s)) or settled[-2:-1] == settled[-1:]
                   and len(settled[-1]) == 10 and min(settled[-1]) > 0, "all of them to be full")
        assert max(settled[-1]) < 512 * 1024, settled[-1]
        for c in stuck:
            c.socket.close()


def test_when_descriptors_run_out_accepting_pauses_and_goes_on(repo):
    # Told to hold more than it has descriptors for, so that accept itself fails.
    with Server(repo.folder, "--max-connections", 500, descriptors=64) as s:
        assert s.lines_with("descriptors are limited to 64")
        held = [s.connect() for _ in range(70)]
        for c in held:
            c.send(GET)
        s.wait_for_line("accepting pauses")
        busy = s.process.pid
        before = cpu_seconds(busy)
        time.sleep(1)
        assert cpu_seconds(busy) - before < 0.5, "it spins"
        assert held[0].answer().status == 200
        for c in held[:40]:
            c.socket.close()
        for c in held[60:]:
            assert c.answer().status == 200
        for c in held[40:]:
            c.socket.close()
        assert s.get(TIMESTAMP).status == 200
        # The repository is still watched.
        repo.publish()
        wait_until(lambda: f'"version": {repo.versions["timestamp"]},' in
                   s.get(TIMESTAMP).body.decode(), "the next version")


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def thread_states(pid):
    states = set()
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/stat") as f:
            states.add(f.read().rsplit(")", 1)[1].split()[0])
    return states


def test_a_reader_that_stops_costs_no_one_else(repo):
    name = "/" + repo.target_name("big.bin", BIG)
    with Server(repo.folder) as s:
        stuck = [s.connect() for _ in range(20)]
        for c in stuck:
            c.send(request("GET", name) * 3)
        time.sleep(0.3)
        before = cpu_seconds(s.process.pid)
        with s.connect() as c:
            for _ in range(100):
                c.send(GET)
                assert c.answer().status == 200
        time.sleep(1)
        assert cpu_seconds(s.process.pid) - before < 0.8, "it spins"
        # The bodies are shared, not copied for each of the sixty answers.
        assert memory_kib(s.process.pid) < 400 * 1024
        assert stuck[3].answer().body == BIG
        for c in stuck:
            c.socket.close()


def memory_kib(pid):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS:"))


def test_idle_connections_are_cheap(repo):
    with Server(repo.folder) as s:
        with s.connect() as first:
            first.send(GET)
            first.answer()
            before = memory_kib(s.process.pid)
            held = [s.connect() for _ in range(1000)]
            for c in held:
                c.send(GET)
                assert c.answer().status == 200
            assert (memory_kib(s.process.pid) - before) < 5000  # 5 KiB each, sanitizers included
            for c in held:
                c.socket.close()


def test_clients_that_vanish_leave_nothing_behind(repo):
    name = "/" + repo.target_name("big.bin", BIG)
    reset = struct.pack("ii", 1, 0)
    with Server(repo.folder, "--max-connections", 8) as s:
        for i in range(100):
            c = s.connect()
            c.send([b"", b"GET", GET, request("GET", name), GET * 50][i % 5])
            if i % 2:
                c.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
            c.socket.close()
        # All eight places are free again.
        held = [s.connect() for _ in range(7)]
        for c in held:
            c.send(GET)
            assert c.answer().status == 200
        assert s.get(TIMESTAMP).status == 200
        for c in held:
            c.socket.close()


def test_a_refused_client_that_has_closed_is_let_go_after_an_interruption(repo):
    """A stopped and continued process finds EINTR in errno; the end of what a refused client sends
    is an end all the same. A loop that spins there serves no client any more."""
    with Server(repo.folder) as s:
        with s.connect() as c:
            c.send(GET)
            assert c.answer().status == 200
            s.process.send_signal(signal.SIGSTOP)
            wait_until(lambda: thread_states(s.process.pid) == {"T"}, "it to stop")
            c.send(b"BAD REQ\r\n\r\n")
            c.socket.shutdown(socket.SHUT_WR)
            s.process.send_signal(signal.SIGCONT)
            assert c.answer().status == 400
            assert c.is_closed()
        try:
            with s.connect() as other:
                other.send(GET)
                assert other.answer().status == 200
        except TimeoutError:
            s.process.kill()  # it would not end on SIGTERM
            pytest.fail("it spins")


def fast_clock(times):
    """For a server whose clock runs so many times as fast: libfaketime, as `faketime` loads it."""
    if shutil.which("faketime") is None:
        pytest.skip("faketime is missing")
    preload = subprocess.run(["faketime", "-f", "+0", "printenv", "LD_PRELOAD"], check=True,
                             capture_output=True, text=True).stdout.strip()
    sanitizer = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0:detect_leaks=0"
    return {"LD_PRELOAD": preload, "FAKETIME": f"+0 x{times}", "ASAN_OPTIONS": sanitizer}


def narrow(server):
    """A client whose kernel takes little before it reads."""
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    s.settimeout(WAIT_S)
    s.connect(("127.0.0.1", server.port))
    return s


def test_a_client_that_reads_slowly_is_kept_and_one_that_stops_is_not(repo):
    """256 bytes a second of the server's time, which the socket's buffer does not show for minutes."""
    name = "/" + repo.target_name("big.bin", BIG)
    with Server(repo.folder, environment=fast_clock(4)) as s:
        slow, stopped = narrow(s), narrow(s)
        for c in (slow, stopped):
            c.sendall(request("GET", name))
        begin = time.monotonic()
        while is_open(stopped) or time.monotonic() - begin < 20:
            assert time.monotonic() - begin < WAIT_S, "the one that stopped is still connected"
            assert slow.recv(512) and is_open(slow), "the slow one was cut off"
            time.sleep(0.5)
        slow.close()
        stopped.close()


def is_open(s):
    """Without reading: the kernel tells of the reset."""
    return s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == 1  # TCP_ESTABLISHED
