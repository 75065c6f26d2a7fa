"""Several loops while rules, certificates and ticket keys change: no handshake fails. Under ThreadSanitizer this is
where a race would show."""
import os
import threading
import time

from tls_serve import Pair, Rules, TlsServe, ask, client_context

SECONDS = 20 if os.environ.get("HOLDFAST_LONG") else 4


def test_handshakes_while_everything_changes(tmp_path):
    rules, device = Rules(tmp_path / "rules"), Pair(tmp_path, "device")
    rules.certs[device.sha256] = 0
    pairs = [Pair(tmp_path, "a", names=["dev.test"]), Pair(tmp_path, "b", names=["x.test"])]
    rules.names["x.test"] = (6, "required")
    failures, done = [], []
    end = time.monotonic() + SECONDS

    def client(number):
        context = client_context(device, "1.2" if number % 2 else "1.3")
        session = None
        try:
            while session is None or time.monotonic() < end:
                with serve.tls("x.test" if number % 3 else "dev.test", context=context, session=session) as c:
                    assert ask(c)["sha256"] == device.sha256
                    ask(c, "/late/20")
                    session = c.session
                done.append(1)
        except Exception as e:
            failures.append(e)

    with TlsServe("--loops", 3, "--access-log", tmp_path / "log", rules=rules, pairs=pairs) as serve:
        clients = [threading.Thread(target=client, args=(i,)) for i in range(6)]
        for c in clients:
            c.start()
        while time.monotonic() < end:
            serve.reload()
            serve.rotate()
        for c in clients:
            c.join()
    assert (failures, serve.errors) == ([], [])
    assert len(done) >= len(clients)
