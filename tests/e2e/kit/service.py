"""The fleet service: holdfast-signer and holdfastd by one configuration, and holdfast-admin."""
import json
import os
import re
import subprocess

from kit import programs
from kit.device import Device
from kit.pki import Authority, write_chain
from kit.processes import wait_until

HOST = "localhost"


class Service:
    """One account, "pumps", whose devices ask for localhost."""

    def __init__(self, processes, folder, publisher, **settings):
        self.processes, self.folder, self.publisher = processes, folder, publisher
        folder.mkdir()
        self.config = folder / "holdfast.conf"
        self.servers = Authority("Servers")
        self.server_ca = self.servers.write(folder / "servers.pem")
        self.write_certificate()
        self.settings = {
            "repository": {"path": publisher.repo},
            "devices": {"listen": "127.0.0.1:0", "certificate": self.chain, "key": self.key},
            "admin": {"socket": folder / "admin.sock"},
            "database": {"path": folder / "fleet.db"},
            "signer": {"socket": folder / "signer.sock", "state": folder / "signer",
                       "keys": publisher.keys},
        }
        for name, value in settings.items():
            section, key = name.split("__")
            self.settings.setdefault(section, {})[key] = value
        self.write_config()
        said = programs.ok("holdfast-signer", "init", "--config", self.config)
        self.log_key = said.out.split()[-1]
        programs.ok("holdfast-signer", "ca", "new", "ca-1", "--account", "pumps", "--config", self.config)
        self.signer = self.server = None

    def write_certificate(self):
        self.chain, self.key = write_chain(self.folder, "server", self.servers.leaf(HOST))
        os.chmod(self.key, 0o600)

    def write_config(self):
        self.config.write_text("".join(
            f"[{section}]\n" + "".join(f"{key} = {value}\n" for key, value in keys.items())
            for section, keys in self.settings.items()))

    def start_signer(self):
        self.signer = self.processes.start(
            programs.command("holdfast-signer", "run", "--config", self.config), "holdfast-signer")
        self.signer.wait_for(lambda: "waiting for requests" in self.signer.err, "is ready")

    def start_server(self, env=None):
        self.server = self.processes.start(
            programs.command("holdfastd", "--config", self.config), "holdfastd", env)
        self.server.wait_for(lambda: "serving timestamp" in self.server.err, "serves")
        self.port = int(re.search(r"for devices on https://127\.0\.0\.1:(\d+)", self.server.err)[1])
        # The next start listens on the same port.
        self.settings["devices"]["listen"] = f"127.0.0.1:{self.port}"
        self.write_config()

    def start(self):
        self.start_signer()
        self.start_server()
        return self

    def stop(self):
        assert self.server.stop() == 0
        assert self.signer.stop() == 0

    @property
    def url(self):
        return f"https://{HOST}:{self.port}"

    def admin(self, *words):
        return programs.ok("holdfast-admin", *words, "--config", self.config).out

    def admin_json(self, *words):
        return json.loads(self.admin(*words, "--json"))

    def refuses(self, *words):
        return programs.refused("holdfast-admin", *words, "--config", self.config)

    def with_account(self, *options):
        self.admin("account", "create", "pumps", "--sni", HOST, *options)
        self.admin("ca", "register", "--account", "pumps", "--signer-ca", "ca-1")
        return self

    def exported_log(self):
        return [json.loads(line) for line in self.admin("log", "export").splitlines()]

    def wait_until_sealed(self):
        """All that the log has now. holdfastd has it sealed at its start, and every hour."""
        entries = sum("entry" in line for line in self.exported_log())
        wait_until(lambda: any(line["seal"]["sequence"] >= entries
                               for line in self.exported_log() if "seal" in line), "the log is sealed")

    def token(self, *options):
        return self.admin_json("enroll-token", "create", "--account", "pumps", *options)["token"]

    def device(self, name):
        """One that knows the root and the server's CA, and has no certificate yet."""
        return Device(self.folder / name).init(
            self.publisher.root, self.url,
            options=["--server-ca", self.server_ca, "--device-id", name])

    def enrolled(self, name):
        device = self.device(name)
        self.enroll(device)
        return device

    def enroll(self, device, *token_options):
        file = device.state.parent / f"{device.state.name}.token"
        file.touch(mode=0o600)
        file.write_text(self.token(*token_options))
        return programs.ok("holdfast", "--state", device.state, "enroll", "--token-file", file)

    def credentials(self, *options):
        return self.admin_json("credential", "list", "--account", "pumps", *options)["credentials"]

    def credential_of(self, device_name):
        one, = self.credentials("--device", device_name)
        return one["sha256"]

    def s_client(self, *options, name=HOST, send=""):
        """What openssl sees of the device listener."""
        sni = ["-servername", name] if name else ["-noservername"]
        done = subprocess.run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{self.port}", *sni, "-CAfile",
             self.server_ca, "-no-CApath", "-no-CAstore", *map(str, options)],
            input=send, capture_output=True, text=True, timeout=30)
        return done.stdout + done.stderr
