"""Between holdfastd and the signer: every packet passes here, and a step stops where the test wants it."""
import json
import os
import queue
import socket
import threading

from kit.processes import stop_accepting

WAIT_S = 60


class Held:
    """A step that was stopped; it goes on, or is lost with its connection."""

    def __init__(self, request):
        self.request, self.is_lost = request, False
        self._decided, self._done = threading.Event(), threading.Event()
        self.answer = None  # of the signer, also if its answer is lost

    def go(self):
        self._decided.set()

    def lose(self):
        self.is_lost = True
        self._decided.set()

    def wait(self):
        """What the signer says, once it goes on."""
        assert self._done.wait(WAIT_S)
        return self.answer


class SignerWire:
    def __init__(self, path, signer_path):
        self.path, self.signer_path = path, signer_path
        self.stop_at, self.held = None, queue.Queue()
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(str(path))
        self.listener.listen()
        self.accepting = threading.Thread(target=self._accept, daemon=True)
        self.accepting.start()

    def hold(self, point):
        """The next step stops: "asked", before the signer hears of it, or "signed", before holdfastd hears the answer."""
        self.stop_at = point

    def next(self):
        return self.held.get(timeout=WAIT_S)

    def close(self):
        stop_accepting(self.listener, self.accepting)

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection:
            while True:
                try:
                    data, descriptors, _, _ = socket.recv_fds(connection, 1 << 18, 4)
                except OSError:  # it was killed
                    return
                if not data:
                    return
                answer = self._pass_on(data, descriptors)
                for fd in descriptors:
                    os.close(fd)
                if not answer:
                    return
                try:
                    connection.send(answer)
                except OSError:
                    return

    def _stop(self, point, held):
        """False: the step is lost."""
        if self.stop_at == point:
            self.stop_at = None
            self.held.put(held)
            held._decided.wait()
            held._decided.clear()
        return not held.is_lost

    def _pass_on(self, data, descriptors):
        request = json.loads(data)
        if request.get("verb") != "step":
            return self._ask(data, descriptors)
        held = Held(request)
        if not self._stop("asked", held):
            return b""
        answer = self._ask(data, descriptors)
        held.answer = json.loads(answer) if answer else None
        held._done.set()
        return answer if self._stop("signed", held) else b""

    def _ask(self, data, descriptors):
        """An empty answer is that of a signer that is not there, or ends."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as signer:
            try:
                signer.connect(str(self.signer_path))
                socket.send_fds(signer, [data], descriptors)
                return signer.recv(1 << 18)
            except OSError:
                return b""
