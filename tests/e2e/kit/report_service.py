"""A small server in the place of the fleet service: it takes reports, verifies those that are signed, and keeps count."""
import base64
import http.server
import json
import re
import ssl
import threading

import http_signatures

INPUT = re.compile(r'holdfast=\(.*\);created=(\d+);keyid="([^"]+)";alg="ed25519";tag="holdfast-report"')


class ReportService:
    """`answers` are (status, body) for the next requests, in turn; then each is taken. With `tls`, an SSLContext."""

    def __init__(self, tls=None):
        self.reports = {}  # (installation, seq): the report, without nonce and sent
        self.requests = []  # (path, list of reports, key or None, certificate or None)
        self.received = 0  # bytes of requests, with their heads
        self.answers, self.faults, self.nonces = [], [], 0
        self.connections = 0
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def setup(self):
                service.connections += 1
                super().setup()

            def do_POST(self):
                service.answer(self)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        assert self.faults == []

    def answer(self, request):
        body = request.rfile.read(int(request.headers["Content-Length"]))
        self.received += len(request.raw_requestline) + len(request.headers.as_bytes()) + len(body)
        status, text = self.answers.pop(0) if self.answers else (200, None)
        try:
            self.take(request, body, status)
        except Exception as fault:  # what is wrong is said by close, not lost in a thread
            self.faults.append(repr(fault))
        if text is None:
            self.nonces += 1
            text = json.dumps({"accepted": 1, "duplicates": 0, "nonce": f"{self.nonces:016x}"})
        request.send_response(status)
        request.send_header("Content-Type", "application/json" if status == 200 else "application/problem+json")
        request.send_header("Content-Length", str(len(text)))
        request.end_headers()
        request.wfile.write(text.encode())

    def take(self, request, body, status):
        reports = json.loads(body)
        key = self.verify(request, body) if "Signature" in request.headers else None
        certificate = request.connection.getpeercert() if isinstance(request.connection, ssl.SSLSocket) else None
        self.requests.append((request.path, reports, key, certificate))
        for report in reports if status == 200 else []:
            kept = {name: value for name, value in report.items() if name not in ("nonce", "sent")}
            known = self.reports.setdefault((report["installation"], report["seq"]), kept)
            assert known == kept, f"one number, two reports: {known} and {kept}"

    @staticmethod
    def verify(request, body):
        assert request.headers["Content-Digest"] == http_signatures.content_digest(body)
        created, key = INPUT.fullmatch(request.headers["Signature-Input"]).groups()
        message = {"method": request.command, "authority": request.headers["Host"], "path": request.path,
                   "fields": list(request.headers.items())}
        base = http_signatures.signature_base(message, http_signatures.COMPONENTS,
                                              http_signatures.report_params(int(created), key))
        signature = request.headers["Signature"].removeprefix("holdfast=:").removesuffix(":")
        http_signatures.public_key(key).verify(base64.b64decode(signature), base)
        return key

    def kinds(self):
        """In the order of their numbers."""
        return [report["kind"] for _, report in sorted(self.reports.items(), key=lambda item: item[0][1])]
