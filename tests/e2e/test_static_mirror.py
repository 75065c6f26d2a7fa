"""A repository that holdfastctl mirror exported, behind nginx with deploy/static/nginx.conf as it is
but for port, name and folder: devices update from it, and caches are told what is true."""
import os
import urllib.error
import urllib.request

import pytest

from kit import programs, roots
from kit.device import Device
from kit.processes import accepts, free_port
from kit.servers import NGINX
from test_root_rotation import Ceremony

EXAMPLE = programs.CHECKOUT / "deploy" / "static" / "nginx.conf"
IMMUTABLE = "public, max-age=31536000, immutable"

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")

# What Debian's /etc/nginx/nginx.conf has around conf.d.
AROUND = """
{user}
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr crit;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/holdfast.conf;
}}
"""


def with_line(text, old, new):
    """The one line of the example that every user changes."""
    assert text.count(old) == 1, old
    return text.replace(old, new)


class StaticNginx:
    def __init__(self, processes, folder, served):
        folder.mkdir()
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        text = with_line(EXAMPLE.read_text(), "listen 80;", f"listen 127.0.0.1:{self.port};")
        text = with_line(text, "root /srv/www/holdfast;", f"root {served};")
        (folder / "holdfast.conf").write_text(text)
        conf = folder / "nginx.conf"
        conf.write_text(AROUND.format(user="user root;" if os.getuid() == 0 else "", folder=folder))
        self.process = processes.start([NGINX, "-p", folder, "-c", conf, "-e", "stderr"], "nginx")
        self.process.wait_for(lambda: accepts(self.port), "it listens")

    def get(self, path):
        """(status, Cache-Control, Content-Type)"""
        try:
            with urllib.request.urlopen(f"{self.url}/{path}", timeout=60) as answer:
                return self._facts(answer)
        except urllib.error.HTTPError as answer:
            return self._facts(answer)

    @staticmethod
    def _facts(answer):
        answer.read()
        return (answer.status, answer.headers["Cache-Control"],
                (answer.headers["Content-Type"] or "").split(";")[0])


@pytest.fixture
def mirrored(publisher, folder):
    """The folder that is served; it follows each publication, as a timer's second line would."""
    out = folder / "www"

    def follow():
        programs.ok("holdfastctl", "mirror", "--repo", publisher.repo, "--out", out)

    publisher.subscribers.append(follow)
    return out


@pytest.fixture
def static(publisher, mirrored, processes, folder):
    publisher.add(*roots.amazon(1, 2, 3))
    nginx = StaticNginx(processes, folder / "nginx", mirrored)
    yield nginx
    nginx.process.stop()
    assert nginx.process.err == ""


def test_a_device_updates_across_two_publications_and_a_root_rotation(publisher, static, folder):
    device = Device(folder / "device").init(publisher.root, static.url)
    assert device.update() == "updated amazon-iot/full none -> 1"
    publisher.add(*roots.amazon(1, 2, 3, 4))
    assert device.update() == "updated amazon-iot/full 1 -> 2"
    ceremony = Ceremony(publisher, folder)
    for role in ("root", "timestamp"):
        ceremony.replace(role, ceremony.key_file(role, f"{role}-1"))
        assert device.update() == "current amazon-iot/full 2"
    assert device.metadata_versions()["root"] == 3
    publisher.add(*roots.amazon(1, 2, 3, 4), roots.STARFIELD.file)
    assert device.update() == "updated amazon-iot/full 2 -> 3"
    newcomer = Device(folder / "newcomer").init(publisher.root, static.url)
    assert newcomer.update() == "updated amazon-iot/full none -> 3"


def test_a_cache_is_told_what_stays_and_what_does_not(publisher, static, mirrored):
    bundle = next((mirrored / "targets").rglob("*.pem")).relative_to(mirrored)
    versions = {r: publisher.metadata(r)["signed"]["version"] for r in ("targets", "snapshot")}
    for name in ("1.root", *(f"{n}.{role}" for role, n in versions.items())):
        assert static.get(f"metadata/{name}.json") == (200, IMMUTABLE, "application/json")
    assert static.get(bundle) == (200, IMMUTABLE, "application/pem-certificate-chain")
    assert static.get("metadata/timestamp.json") == (200, "public, max-age=60, must-revalidate",
                                                     "application/json")


def test_no_cache_may_remember_that_something_is_not_there(static, mirrored):
    (mirrored / "metadata" / ".new").write_text("half")
    (mirrored / "link.json").symlink_to("/etc/passwd")
    (mirrored / "metadata" / "7.root.json").symlink_to("/etc/passwd")
    for path in ("metadata/2.root.json", "metadata/9.targets.json", "metadata/", "metadata", "",
                 ".lock", "metadata/.new", "link.json", "targets/amazon-iot/full/1.pem",
                 f"targets/amazon-iot/full/{'0' * 64}.1.pem"):
        status, cache, _ = static.get(path)
        assert (status, cache) == (404, "no-store"), path
    assert static.get("metadata/7.root.json")[0] == 403
