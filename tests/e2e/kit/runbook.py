"""The publisher's desk: runs the commands that stand in a page of deploy/runbooks, as they stand there."""
import re
import subprocess

from kit.programs import BIN, CHECKOUT, TIMEOUT_S, environment

RUNBOOKS = CHECKOUT / "deploy" / "runbooks"

# What a person does at the terminal: agrees to the draft that was shown, and chooses no passphrase.
HANDS = """
set -eu
holdfastctl() {
    case "$1 $2" in
    "root sign" | "targets sign")
        shown=$("$BIN/holdfastctl" "$1" status "$4" | sed -n 's/.*SHA-256 *//p' | head -n 1)
        "$BIN/holdfastctl" "$@" --yes "$shown" ;;
    "key generate")
        case "$4" in # a key in a token has a PIN instead
        pkcs11:*) "$BIN/holdfastctl" "$@" ;;
        *) "$BIN/holdfastctl" "$@" --insecure-no-passphrase ;;
        esac ;;
    *)
        "$BIN/holdfastctl" "$@" ;;
    esac
}
"""

ROTATION = """
holdfastctl key generate --key "$KEYS/$HALF/new.key.json"
holdfastctl root draft --from "$REPO" --keys "$KEYS" --draft root.draft
holdfastctl root add-key --draft root.draft --role "$ROLE" --key "$KEYS/$HALF/new.key.json"
holdfastctl root remove-key --draft root.draft --role "$ROLE" --key "$KEYS/$HALF/$ROLE-1.key.json"
holdfastctl root sign --draft root.draft --keys "$KEYS"
holdfastctl root finish --repo "$REPO" --keys "$KEYS" root.draft
mv "$KEYS/$HALF/new.key.json" "$KEYS/$HALF/$ROLE-1.key.json"
rm root.draft
"""


def commands(page, *tags):
    """The `sh` blocks of a page in their order; those with a tag only where it is asked for."""
    text = (RUNBOOKS / page).read_text()
    blocks = re.findall(r"^ *```sh *(\S*)\n(.*?)^ *```$", text, re.DOTALL | re.MULTILINE)
    assert blocks, f"{page} has no commands"
    return "".join(block for tag, block in blocks if tag == "" or tag in tags)


class Desk:
    """A folder of its own to make drafts in."""

    def __init__(self, publisher, folder):
        folder.mkdir()
        self.publisher = publisher
        self.folder = folder

    def run(self, script, **names):
        """Every line succeeds, without a word on standard error. Returns what it says."""
        place = {"REPO": self.publisher.repo, "KEYS": self.publisher.keys, "BIN": BIN, **names}
        env = environment(**{name: str(value) for name, value in place.items()})
        done = subprocess.run(["sh", "-c", HANDS + script], env=env, cwd=self.folder,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=TIMEOUT_S)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
        for follow in self.publisher.subscribers:
            follow()
        return done.stdout

    def follow(self, page, *tags, **names):
        return self.run(commands(page, *tags), **names)

    def rotate(self, role):
        """Another key in place of the role's first, under the same name."""
        half = "offline" if role in ("root", "targets") else "online"
        self.run(ROTATION, ROLE=role, HALF=half)
