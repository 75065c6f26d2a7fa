"""Every example in the help of holdfastctl is run as it is typed, in a small world of its own."""
import hashlib
import os
import re
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

import ctl
from ctl import Root

MOZILLA = Path("/usr/share/ca-certificates/mozilla")
ROOTS = {f"AmazonRootCA{n}.pem": f"Amazon_Root_CA_{n}.crt" for n in (1, 2, 3, 4)}
ROOTS["SFSRootCAG2.pem"] = "Starfield_Services_Root_Certificate_Authority_-_G2.crt"

# What an example asks for on a terminal is said with an option here.
SAID = {"init": "--insecure-no-passphrase", "rollout delegate": "--insecure-no-passphrase", "key generate": "--insecure-no-passphrase",
        "key import": "--insecure-no-passphrase",
        "key change-passphrase": "--new-passphrase-file new.pass"}
# Why an example is not run: it is only read by the command it is for.
NOT_RUN = {"pkcs11:": "test_holdfastctl_token.py has tokens",
           "lint --endpoint @iot.json": "it asks a server of AWS",
           "--targets carol.draft": "tests/attack and test_holdfastctl_targets.py have the ceremony"}


def examples():
    listed = ctl.ok("--help").split("\nCommands:\n")[1].split("\n\n")[0]
    for line in listed.splitlines():
        command = re.match(r"  (\S+(?: \S+)?)  ", line)[1]
        text = ctl.ok(*command.split(), "--help").split("\nExamples:\n")[1].split("\n\n")[0]
        before = ""
        for example in re.sub(r" \\\n +", " ", text).splitlines():
            if example.startswith("  holdfastctl "):
                yield command, before + example.strip()
                before = ""
            elif example.startswith("  openssl "):
                before = example.strip() + "; "


class World:
    """HOME, /srv, /etc and /media, and the folder that commands are typed in."""

    def __init__(self, folder):
        self.folder, self.desk, self.home = folder, folder / "desk", folder / "home"
        self.keys, self.repo = self.home / "holdfast-keys", folder / "srv/roots"
        self.place = ["--repo", self.repo, "--keys", self.keys]

    def add(self, *args, set_name="amazon-iot"):
        ctl.ok("bundle", "add", *self.place, "--set", set_name, "--profile", "full", "--keep", "10",
               *args, cwd=self.desk)

    def draft(self, kind, file="root.draft"):
        """A new draft, unsigned; its SHA-256."""
        where = (["--from", self.repo] if kind == "root" else self.place)
        made = ctl.report("draft-report", kind, "draft", *where, "--draft", file, cwd=self.desk)
        return made["sha256"]

    def sign(self, kind, file, sha256, keys=None):
        ctl.ok(kind, "sign", "--draft", file, "--keys", keys or self.keys, "--yes", sha256,
               cwd=self.desk)

    def signed_copies(self, kind):
        """alice.draft and bob.draft, each signed with one key; beside the draft."""
        sha256 = self.draft(kind, f"{kind}.draft")
        for n, name in ((1, "alice"), (2, "bob")):
            shutil.copy(self.desk / f"{kind}.draft", self.desk / f"{name}.draft")
            folder = self.folder / f"{name}-key"
            folder.mkdir(mode=0o700)
            shutil.copy(self.keys / "offline" / f"{kind}-{n}.key.json", folder)
            self.sign(kind, f"{name}.draft", sha256, folder)

    def run(self, command):
        typed = re.sub(r"(?<![\w./])/(srv|etc|media)/", rf"{self.folder}/\1/", command)
        env = dict(ctl.environment(), HOME=str(self.home), PATH=f"{ctl.BIN}:{os.environ['PATH']}")
        return subprocess.run(["bash", "-c", f"set -o pipefail; {typed}"], env=env, cwd=self.desk,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=ctl.TIMEOUT_S)


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """Eight versions of amazon-iot, all but the seventh with Starfield."""
    if missing := [name for name in ROOTS.values() if not (MOZILLA / name).exists()]:
        pytest.skip(f"Debian's ca-certificates lack {missing}")
    world = World(tmp_path_factory.mktemp("first"))
    for folder in (world.desk / "roots", world.desk / "new-roots", world.desk / "chains-2027",
                   world.home, world.folder / "srv/www", world.folder / "etc/holdfast",
                   world.folder / "media/stick"):
        folder.mkdir(parents=True)
    for name, source in ROOTS.items():
        for folder in (world.desk, world.desk / "roots"):
            shutil.copy(MOZILLA / source, folder / name)
    factory = Root(world.desk, "Factory")
    shutil.copy(factory.file, world.desk / "factory-root.pem")
    shutil.copy(factory.file, world.desk / "new-roots")
    for file in (world.desk / "endpoints.txt", world.desk / "chains-2027/endpoints.txt"):
        file.write_text("endpoint broker chain.pem\n")
        shutil.copy(MOZILLA / ROOTS["AmazonRootCA1.pem"], file.parent / "chain.pem")
    for file in (world.desk / "new.pass", world.folder / "etc/holdfast/online.pass"):
        file.touch(mode=0o600)
        file.write_text("only for a test\n")
    ctl.ok("init", *world.place, "--insecure-no-passphrase", "--root-keys", "3", "--root-threshold",
           "2", "--targets-keys", "2", "--targets-threshold", "2")
    amazon = [name for name in ROOTS if name.startswith("Amazon")]
    for version in range(1, 9):
        world.add("--again", "--drop", "all", *amazon, *(["SFSRootCAG2.pem"] if version != 7 else []))
    return world


@pytest.fixture
def world(first, tmp_path):
    copy = World(Path(shutil.copytree(first.folder, tmp_path / "world")))
    shutil.copytree(copy.keys, copy.folder / "etc/holdfast/keys")
    shutil.copytree(copy.keys, copy.desk / "keys")
    (copy.home / "my-key").mkdir(mode=0o700)
    return copy


# ---- what must be there before an example makes sense; what it returns is put into the example ------

def before_init(world, command):
    shutil.rmtree(world.repo)
    shutil.rmtree(world.keys)


def before_import(world, command):
    ctl.ok("bundle", "remove", *world.place, "--set", "amazon-iot", "--profile", "full", "--drop",
           "all", "Starfield Services")
    other = Root(world.desk, "Other")
    world.add("--new", "--pin", other.sha256, "--accept", "no-overlap", other.file,
              set_name="factory")
    factory = Root(world.desk, "Factory")
    shutil.copy(factory.file, world.desk / "factory-root.pem")
    return {"3f9a12c7d04be581": factory.sha256[:16]}


def before_remove(world, command):
    removed = MOZILLA / "DigiCert_Global_Root_CA.crt"  # root programs have removed it
    sha256 = hashlib.sha256(ssl.PEM_cert_to_DER_cert(removed.read_text())).hexdigest()
    world.add("--new", "--select", "azure", "--select", "DigiCert Global Root CA", "--pin", sha256,
              set_name="azure")
    # The first of the two asks on the terminal.
    return {} if "--drop" in command else {"568d6905a2c88708": "568d6905a2c88708 --drop all"}


def before_publish(world, command):
    (world.keys / "online").rename(world.keys / "elsewhere")
    world.add("AmazonRootCA1.pem", "--drop", "all")


def before_edit(world, command):
    world.draft("root")
    for key, where in (("carol", world.desk), ("timestamp-2", world.folder / "etc/holdfast/keys/online")):
        ctl.ok("key", "generate", "--key", where / f"{key}.key.json", "--public",
               world.desk / f"{key}.pub", "--insecure-no-passphrase")
    shown = ctl.ok("key", "inspect", world.keys / "offline/root-3.key.json")
    return {"1f2e3d4c5b6a7988": re.search(r"[0-9a-f]{64}", shown)[0][:16]}


def before_look(world, command):
    world.signed_copies(command.split()[1])
    if "--under" in command:
        (world.desk / "targets.draft").unlink(missing_ok=True)


def before_sign(world, command):
    kind = command.split()[1]
    sha256 = world.draft(kind, f"{kind}.draft")
    shutil.copy(world.desk / f"{kind}.draft", world.folder / "media/stick")
    shutil.copy(world.keys / "offline/targets-1.key.json", world.home / "my-key")
    if "--yes" in command:
        return {"9f86d081884c7d65": sha256[:16]}
    return {"--keys": f"--yes {sha256} --keys"}  # it asks on the terminal


def before_finish(world, command):
    kind = command.split()[1]
    world.signed_copies(kind)
    if f"{kind}.draft" in command:
        ctl.ok(kind, "merge", "--draft", f"{kind}.draft", "alice.draft", "bob.draft",
               cwd=world.desk)


def before_targets_draft(world, command):
    if "--under" in command:
        world.signed_copies("root")


def before_rollout(world, command):
    word = command.split()[2]
    if word == "delegate":
        ctl.ok("key", "generate", "--key", world.desk / "rollout.key.json", "--public",
               world.desk / "rollout.pub", "--insecure-no-passphrase")
        return
    plan = world.desk / "plan.json"
    approval = ""
    if word == "approve":
        ctl.ok("key", "generate", "--key", world.desk / "alice.key.json", "--insecure-no-passphrase")
        alice, = ctl.report("key-report", "key", "inspect", world.desk / "alice.key.json")["keys"]
        approval = f', "approval": "signed", "approvers": ["{alice["public"]}"]'
    plan.write_text('{"stages": [{"share": "10%"}, {"share": "100%"}], "mandatory_after": "1d"' + approval + "}")
    ctl.ok("rollout", "delegate", *world.place, "--insecure-no-passphrase", "amazon-iot")
    world.add("--again", "--plan", plan, "--drop", "all", *ROOTS)
    before = {"open": [], "resume": ["open", "pause"], "complete": ["open", "step"]}
    for step in before.get(word, ["open"]):
        ctl.ok("rollout", step, *world.place, "amazon-iot")
    shutil.rmtree(world.folder / "etc/holdfast/keys")
    shutil.copytree(world.keys, world.folder / "etc/holdfast/keys")


BEFORE = {
    **{f"rollout {word}": before_rollout for word in ("delegate", "open", "step", "pause", "resume",
                                                      "complete", "abort", "approve", "show")},
    "init": before_init, "bundle import": before_import, "bundle remove": before_remove,
    "publish": before_publish, "root add-key": before_edit, "root remove-key": before_edit,
    "root set-threshold": before_edit, "root status": before_look, "root merge": before_look,
    "targets status": before_look, "targets merge": before_look, "root sign": before_sign,
    "targets sign": before_sign, "root finish": before_finish, "targets finish": before_finish,
    "targets draft": before_targets_draft,
}


@pytest.mark.parametrize("command, example", [pytest.param(*e, id=e[1]) for e in examples()])
def test_it_does_what_it_says(world, command, example):
    if reason := next((why for part, why in NOT_RUN.items() if part in example), None):
        pytest.skip(f"not run: {reason}")
    typed = example.replace(f"holdfastctl {command}", f"holdfastctl {command} {SAID.get(command, '')}")
    for told, real in (BEFORE.get(command, lambda *_: None)(world, example) or {}).items():
        typed = typed.replace(told, real)
    done = world.run(typed)
    assert done.stdout != "", done
    if "--at 2030-01-31" in example:  # by then this repository has expired
        assert (done.returncode, done.stderr.split(":")[1]) == (1, " no device could update"), done
    else:
        # What lint finds in this world is no fault of the example.
        assert done.returncode in ((0, 1) if command == "lint" else (0,)) and done.stderr == "", done
    if "| jq" in example:
        assert "null" not in done.stdout.split(), done
