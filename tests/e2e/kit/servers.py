"""The servers that tests talk to: holdfastd, nginx, Mosquitto, openssl s_server, a proxy."""
import functools
import http.server
import os
import re
import select
import shutil
import signal
import socket
import socketserver
import threading
import urllib.error
import urllib.request

from kit.processes import accepts, free_port

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")


class Holdfastd:
    """holdfastd on a port of its own choice."""

    def __init__(self, processes, repo, *options):
        self.repo = repo
        self.process = processes.start_ours("holdfastd", "--repo", repo, "--listen", "127.0.0.1:0",
                                            *options)
        self.address = self.process.wait_for(self._address, "it says where it listens")
        self.url = f"http://{self.address}"

    def _address(self):
        found = re.search(r"127\.0\.0\.1:[1-9][0-9]*", self.process.err)
        return found and found.group()

    def served_timestamp(self):
        try:
            with urllib.request.urlopen(f"{self.url}/metadata/timestamp.json", timeout=60) as answer:
                return answer.read()
        except urllib.error.HTTPError:
            return None

    def catch_up(self):
        """Return when it serves what is on disk. It would look by itself within a second."""
        timestamp = (self.repo / "metadata" / "timestamp.json").read_bytes()
        self.process.signal(signal.SIGHUP)
        self.process.wait_for(lambda: self.served_timestamp() == timestamp, "it serves the newest")

    def stop(self):
        assert self.process.stop() == 0, self.process.err
        for line in self.process.err.splitlines():
            assert re.match(r"\S+Z holdfastd (info|warning|error): ", line), line


# Under root its workers would become another user, who may not read the test's folder.
NGINX_CONF = """
{user}
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr error;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} ssl;
        {certificates}
        location / {{ {content} }}
    }}
}}
"""


class NginxTls:
    """nginx with a certificate chain, before a folder or before another server. `more` are further
    (chain, key) of other types of key: a client is shown the one that it can verify."""

    def __init__(self, processes, folder, chain, key, root=None, backend=None, more=()):
        folder.mkdir()
        self.port = free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        content = f"root {root};" if root else f"proxy_pass {backend};" if backend else "return 204;"
        conf = folder / "nginx.conf"
        conf.write_text(NGINX_CONF.format(user="user root;" if os.getuid() == 0 else "",
                                          folder=folder, port=self.port, content=content,
                                          certificates="".join(
                                              f"ssl_certificate {c}; ssl_certificate_key {k};\n"
                                              for c, k in [(chain, key), *more])))
        self.process = processes.start([NGINX, "-p", folder, "-c", conf, "-e", "stderr"], "nginx")
        self.process.wait_for(lambda: accepts(self.port), "it listens")


class MosquittoTls:
    """On `port`, or a free one. With `client_ca`, only for clients that show a certificate of it."""

    def __init__(self, processes, folder, chain, key, port=None, client_ca=None):
        folder.mkdir()
        self.port = port or free_port()
        lines = [f"listener {self.port} 127.0.0.1", "allow_anonymous true", "log_type all",
                 f"certfile {chain}", f"keyfile {key}"]
        if client_ca:
            lines += [f"cafile {client_ca}", "require_certificate true"]
        if os.getuid() == 0:
            lines.append("user root")
        conf = folder / "mosquitto.conf"
        conf.write_text("\n".join(lines) + "\n")
        self.process = processes.start([MOSQUITTO, "-c", conf], "mosquitto")
        self.process.wait_for(lambda: accepts(self.port), "it listens")

    def log_of(self, client):
        """The lines of its log that name this client."""
        return [line for line in self.process.err.splitlines() if client in line]

    def stop(self):
        self.process.stop()


class OpensslServer:
    """openssl s_server: the leaf in one file, what else it sends in another."""

    def __init__(self, processes, leaf, key, others=None, *options):
        self.port = free_port()
        chain = ["-cert_chain", others] if others else []
        self.process = processes.start(["openssl", "s_server", "-quiet", "-accept",
                                        f"127.0.0.1:{self.port}", "-cert", leaf, "-key", key,
                                        *chain, *options], "s_server")
        self.process.wait_for(lambda: accepts(self.port), "it listens")


class _ProxyHandler(socketserver.StreamRequestHandler):
    """CONNECT, and GET of an absolute http URL; remembers the request lines."""

    def handle(self):
        line = self.rfile.readline().decode("latin-1").strip()
        self.server.requests.append(line)
        method, target, _ = line.split(" ", 2)
        headers = []
        while (header := self.rfile.readline()) not in (b"\r\n", b""):
            headers.append(header)
        if method == "CONNECT":
            self._tunnel(target)
        else:
            self._forward(target, headers)

    def _tunnel(self, target):
        host, port = target.rsplit(":", 1)
        with socket.create_connection((host, int(port))) as upstream:
            self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
            self._pump(upstream)

    def _forward(self, target, headers):
        _, host, path = re.fullmatch(r"(http)://([^/]+)(/.*)", target).groups()
        name, port = host.rsplit(":", 1)
        kept = [h for h in headers if not h.lower().startswith((b"connection:", b"proxy-"))]
        with socket.create_connection((name, int(port))) as upstream:
            upstream.sendall(f"GET {path} HTTP/1.1\r\n".encode() + b"".join(kept)
                             + b"Connection: close\r\n\r\n")
            self._pump(upstream)

    def _pump(self, upstream):
        sides = {self.connection: upstream, upstream: self.connection}
        while True:
            for side in select.select(list(sides), [], [])[0]:
                data = side.recv(65536)
                if not data:
                    return
                sides[side].sendall(data)


class Proxy(socketserver.ThreadingTCPServer):
    """A forward proxy in this process."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _ProxyHandler)
        self.requests = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        self.shutdown()
        self.server_close()


class _QuietFiles(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass


class PlainServer(http.server.ThreadingHTTPServer):
    """A web server that hands out a folder without a look at it, as a CDN does."""

    daemon_threads = True

    def __init__(self, folder):
        super().__init__(("127.0.0.1", 0), functools.partial(_QuietFiles, directory=folder))
        self.is_open = True
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        if self.is_open:
            self.is_open = False
            self.shutdown()
            self.server_close()
