"""SoftHSM2 tokens in a folder of the test: a real PKCS#11 module, and the machine's own tokens stay
as they are. Without SoftHSM2 (deploy/install-deps.sh --for test) the test is skipped."""
import glob
import shutil
import subprocess
from pathlib import Path
from urllib.parse import quote

import pytest

PLACES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/*/softhsm/libsofthsm2.so")
LEAKS = Path(__file__).resolve().parents[1] / "support" / "softhsm.supp"
SO_PIN = "87654321"


def module():
    """The path of the module; where Debian has it changes from release to release."""
    found = [path for place in PLACES for path in glob.glob(place)]
    if not found or not shutil.which("softhsm2-util"):
        pytest.skip("SoftHSM2 is not installed")
    return found[0]


class SoftHsm:
    """Empty tokens, by label. Programs started after this see them: the environment says where."""

    def __init__(self, folder, monkeypatch, labels=("alice",), pin="123456"):
        self.folder = Path(folder) / "softhsm"
        self.module = module()
        self.pin = pin
        (self.folder / "tokens").mkdir(parents=True)
        conf = self.folder / "softhsm2.conf"
        conf.write_text(f"directories.tokendir = {self.folder}/tokens\n"
                        "objectstore.backend = file\nlog.level = ERROR\n")
        monkeypatch.setenv("SOFTHSM2_CONF", str(conf))
        monkeypatch.setenv("LSAN_OPTIONS", f"suppressions={LEAKS}:print_suppressions=0")
        self.pin_file = self.write_pin("pin", pin)
        for label in labels:
            self.add_token(label)

    def add_token(self, label):
        subprocess.run(["softhsm2-util", "--init-token", "--free", "--label", label, "--pin",
                        self.pin, "--so-pin", SO_PIN], check=True, capture_output=True)

    def write_pin(self, name, pin):
        """A file that only its owner may read, as `pin-source` wants it."""
        path = self.folder / name
        path.write_text(pin + "\n")
        path.chmod(0o600)
        return path

    def uri(self, name=None, token="alice", pin_file=None, **more):
        """pkcs11:token=alice;object=NAME, of this module and no other that the machine may have.
        `pin_file`: another one than that with the right PIN; False: none, so that it is asked."""
        path = {"token": token, "object": name, **more}
        query = {"pin-source": pin_file if pin_file is not None else self.pin_file,
                 "module-path": self.module}
        return ("pkcs11:" + ";".join(f"{k}={quote(v, safe='')}" for k, v in path.items() if v)
                + "?" + "&".join(f"{k}={quote(str(v))}" for k, v in query.items() if v))


@pytest.fixture
def softhsm(tmp_path, monkeypatch):
    """One empty token, "alice"."""
    return SoftHsm(tmp_path, monkeypatch)
