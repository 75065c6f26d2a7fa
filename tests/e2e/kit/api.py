"""The API of the service, run alone (tests/support/api_main.c), and the checks that every answer gets."""

import http.client
import json
import re
import socket
import ssl
import subprocess
from pathlib import Path

import yaml

from json_schema import fault
from kit import client_pki
from kit.programs import BIN, CHECKOUT, environment

DRIVER = BIN.parent / "tests" / "hf-api"
OPENAPI = CHECKOUT / "schema" / "openapi.yaml"


def routes():
    """(method, path, role) of each route in the program."""
    out = subprocess.run([DRIVER, "routes"], capture_output=True, text=True, check=True).stdout
    return [tuple(line.split()) for line in out.splitlines()]


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.raw = status, headers, body
        is_json = "json" in (headers.get("Content-Type") or "")
        self.json = json.loads(body) if body and is_json else None
        self.etag = headers.get("ETag")

    def next(self):
        """The path of the next page, or None."""
        found = re.fullmatch(r'<([^>]*)>; rel="next"', self.headers.get("Link") or "")
        return found.group(1) if found else None


class _LocalConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)  # a few writes that each wait for a locked database
        self.sock.connect(str(self.path))


class Description:
    """schema/openapi.yaml, which every answer is checked against."""

    def __init__(self):
        self.document = yaml.safe_load(OPENAPI.read_text())
        self.seen = set()

    def operations(self):
        return {(method.upper(), path) for path, item in self.document["paths"].items()
                for method in item if method in ("get", "post", "patch", "delete", "put")}

    def resolve(self, node):
        while "$ref" in node:
            part = self.document
            for name in node["$ref"].removeprefix("#/").split("/"):
                part = part[name]
            node = part
        return node

    def path_of(self, target):
        path = target.split("?")[0]
        fits = [p for p in self.document["paths"]
                if re.fullmatch(re.sub(r"\{[^}]*\}", "[^/]+", p), path)]
        return min(fits, key=lambda p: p.count("{"), default=None)

    def check(self, method, target, answer):
        path = self.path_of(target)
        operation = self.document["paths"].get(path, {}).get(method.lower()) if path else None
        if operation is None:
            assert answer.status in (401, 403, 404, 405), (method, target, answer.status)
            self.check_problem(answer)
            return
        responses = operation["responses"]
        response = responses.get(str(answer.status)) or (
            responses.get("default") if answer.status >= 400 else None)
        assert response is not None, f"{method} {path}: {answer.status} is not described"
        response = self.resolve(response)
        self.seen.add((method, path, str(answer.status)))
        content = response.get("content")
        if content is None:
            assert not answer.raw, (method, target, answer.raw)
            return
        kind = (answer.headers.get("Content-Type") or "").split(";")[0]
        assert kind in content, (method, target, answer.status, kind)
        self.check_schema(content[kind]["schema"], answer.json)
        for name in response.get("headers", {}):
            if self.resolve(response["headers"][name]).get("required"):
                assert name in answer.headers, (method, target, name)
        if answer.status >= 400:
            self.check_problem(answer)

    def check_schema(self, schema, value):
        wrong = fault(value, schema, self.document)
        assert wrong is None, wrong

    @staticmethod
    def check_problem(answer):
        assert answer.headers["Content-Type"] == "application/problem+json", answer.raw
        problem = answer.json
        assert set(problem) == {"type", "title", "status", "detail", "code"}
        assert problem["status"] == answer.status
        assert len(problem["detail"]) > 10 and "\n" not in problem["detail"]
        assert answer.headers.get("Cache-Control", "no-store") == "no-store"


class Client:
    """Asks the API at three addresses. `call` checks each answer against the description."""

    socket = None         # the path of the Unix socket
    admin = None          # HOST:PORT for operators with a token, and how TLS is spoken there, if it is
    admin_context = None
    device = None         # HOST:PORT for devices

    def __init__(self, description):
        self.description = description

    def raw(self, method, target, body=None, headers=None, connection=None):
        """One request over the Unix socket, or over `connection`."""
        own = connection is None
        if own:
            connection = _LocalConnection(self.socket)
        headers = dict(headers or {})
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
        connection.request(method, target, body, headers)
        response = connection.getresponse()
        is_endless = response.headers.get("Content-Type") == "text/event-stream"
        answer = Answer(response.status, response.headers, response.read1() if is_endless else response.read())
        if own or is_endless:
            connection.close()
        return answer

    def call(self, method, target, body=None, token=None, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        connection = None
        if token is not None:
            connection = self._to_admin()
            if token:
                headers["Authorization"] = f"Bearer {token}"
        answer = self.raw(method, target, body, headers, connection)
        self.description.check(method, target, answer)
        return answer

    def _to_admin(self):
        host, port = self.admin.split(":")
        if self.admin_context is None:
            return http.client.HTTPConnection(host, int(port), timeout=20)
        return http.client.HTTPSConnection(host, int(port), timeout=20, context=self.admin_context)

    def get(self, target, **more):
        return self.call("GET", target, **more)

    def change(self, method, target, body=None, **more):
        """PATCH or DELETE of the version that is there now."""
        return self.call(method, target, body, If_Match=self.get(target).etag, **more)

    def plain_call(self, method, target, body=None, host="localhost", headers=None):
        """One request of a device without TLS."""
        address, port = self.plain.split(":")
        connection = http.client.HTTPConnection(address, int(port), timeout=20)
        answer = self.raw(method, target, body, {"Host": host, **(headers or {})}, connection)
        connection.close()
        self.description.check(method, target, answer)
        return answer

    def device_call(self, method, target, body=None, sni="localhost", cert=None, key=None,
                    version=None, host=None, headers=None):
        """One request of a device over TLS. Raises ssl.SSLError when the handshake fails."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if version is not None:
            context.minimum_version = context.maximum_version = version
        if cert is not None:
            context.load_cert_chain(cert, key)
        address, port = self.device.split(":")
        connection = http.client.HTTPSConnection(address, int(port), timeout=20, context=context)
        plain = socket.create_connection((address, int(port)), timeout=20)
        connection.sock = context.wrap_socket(plain, server_hostname=sni)
        try:
            answer = self.raw(method, target, body, {"Host": host or sni, **(headers or {})},
                              connection)
        finally:
            connection.close()
        self.description.check(method, target, answer)
        return answer


class Api(Client):
    """The API alone, running (tests/support/api_main.c)."""

    def __init__(self, folder, description, signer="-"):
        super().__init__(description)
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.socket = self.folder / "admin.sock"
        self.certificate, self.key = client_pki.write_pair(
            self.folder, "server", *client_pki.self_signed("localhost"))
        self.signer = signer
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [DRIVER, self.folder / "fleet.db", self.socket, str(self.signer),
             self.certificate, self.key], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=environment())
        self.admin = self.process.stdout.readline().split()[1]
        self.device = self.process.stdout.readline().split()[1]
        self.plain = self.process.stdout.readline().split()[1]

    def stop(self):
        self.process.stdin.close()
        assert self.process.wait(timeout=30) == 0
