"""Servers that a test starts: none outlives it, and none may complain unnoticed."""
import ctypes
import os
import signal
import socket
import subprocess
import time

from kit.programs import command, environment

STARTUP_S = 60
SHUTDOWN_S = 15
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def _end_with_parent():
    # Also when the test runner itself is killed.
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def accepts(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


def wait_until(condition, what, seconds=STARTUP_S):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        result = condition()
        if result:
            return result
        time.sleep(0.02)
    raise AssertionError(f"waited {seconds} s in vain: {what() if callable(what) else what}")


def stop_accepting(listener, thread):
    """Also twice. A thread left behind in accept() would take the connections of the next listener with the same descriptor."""
    if listener.fileno() >= 0:
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()
    listener.close()


class Process:
    """A started process with its output in files."""

    def __init__(self, argv, folder, name, env=None):
        self.name = name
        self.out_path = folder / f"{name}.out"
        self.err_path = folder / f"{name}.err"
        with open(self.out_path, "wb") as out, open(self.err_path, "wb") as err:
            self.popen = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                          env=env or environment(), preexec_fn=_end_with_parent,
                                          start_new_session=True)

    @property
    def out(self):
        return self.out_path.read_text(errors="replace")

    @property
    def err(self):
        return self.err_path.read_text(errors="replace")

    def is_running(self):
        return self.popen.poll() is None

    def wait_for(self, condition, what):
        def looked():
            assert self.is_running(), f"{self.name} ended with {self.popen.returncode}: {self.err}"
            return condition()
        return wait_until(looked, f"{self.name}: {what}")

    def signal(self, number):
        self.popen.send_signal(number)

    def wait(self, seconds=SHUTDOWN_S):
        return self.popen.wait(seconds)

    def stop(self):
        """Ask, wait, insist. Returns the exit code."""
        if self.is_running():
            self.signal(signal.SIGTERM)
            try:
                self.wait()
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.wait()
        return self.popen.returncode


class Processes:
    """Everything one test has started."""

    def __init__(self, folder):
        self.folder = folder
        self.started = []

    def start(self, argv, name, env=None):
        name = f"{name}-{len(self.started)}"
        process = Process([os.fspath(a) for a in argv], self.folder, name, env)
        self.started.append(process)
        return process

    def start_ours(self, program, *args, env=None):
        return self.start(command(program, *args), program, env)

    def stop_all(self):
        for process in reversed(self.started):
            process.stop()
