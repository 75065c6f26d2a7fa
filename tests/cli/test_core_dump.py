"""Programs that may hold keys leave no core dump: the kernel shows it in who owns /proc/PID/environ."""
import os
import subprocess
import time

import agent
import net_pki
import pytest
from net_servers import RawServer


def run_as_nobody(*words):
    """As another user than root, who owns /proc/PID/environ of a process that may be dumped."""
    user = {"user": agent.NOBODY} if os.geteuid() == 0 else {}
    try:
        return subprocess.Popen(words, env=agent.environment(), stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **user)
    except PermissionError:
        pytest.skip("another user cannot reach the programs")


def owner_of_environ(process):
    return os.stat(f"/proc/{process.pid}/environ").st_uid


@pytest.mark.parametrize("command", [("holdfast", "probe", "{peer}", "--ca", "{ca}"),
                                     ("holdfastctl", "lint", "--set", "x", "--endpoint",
                                      "tls://{peer}", "{ca}")])
def test_no_core_is_dumped(command, open_folder):
    ca = net_pki.write_pem(open_folder / "ca.pem", net_pki.Authority("Root").cert)
    os.chmod(ca, 0o644)
    with RawServer(silent=True) as server:
        values = {"peer": f"localhost:{server.port}", "ca": ca}
        words = [word.format(**values) for word in command]
        process = run_as_nobody(agent.BIN / words[0], *words[1:])
        try:
            while server.connections == 0:  # until it waits for the server
                assert process.poll() is None
                time.sleep(0.01)
            assert owner_of_environ(process) == 0
        finally:
            process.kill()
            process.wait()


def test_a_program_that_may_be_dumped_is_told_apart():
    process = run_as_nobody("sleep", "60")
    try:
        assert owner_of_environ(process) == process_user()
    finally:
        process.kill()
        process.wait()


def process_user():
    return agent.NOBODY if os.geteuid() == 0 else os.geteuid()
