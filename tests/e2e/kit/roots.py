"""The roots that ship with Debian, as deploy/roots/amazon.txt lists them."""
from dataclasses import dataclass
from pathlib import Path

from kit.programs import CHECKOUT

TABLE = CHECKOUT / "deploy" / "roots" / "amazon.txt"
FOLDER = Path("/usr/share/ca-certificates/mozilla")


@dataclass
class Root:
    sha256: str
    spki: str
    not_after: str
    distrust: str
    file: Path
    name: str


def _parse(line):
    sha256, spki, not_after, distrust, file, name = line.split(None, 5)
    return Root(sha256, spki, not_after, distrust, FOLDER / file, name)


def of_table(name):
    """What `--select NAME` may choose: a root whose file is "-" is in no root program any more."""
    lines = TABLE.with_name(f"{name}.txt").read_text().splitlines()
    roots = [_parse(line) for line in lines
             if line and line[0] != "#" and not line.startswith("as-of ")]
    return [root for root in roots if root.file.name != "-"]


ALL = of_table("amazon")
AMAZON = [r for r in ALL if r.name.startswith("Amazon Root CA ")]
STARFIELD = next(r for r in ALL if r.name.startswith("Starfield Services "))


def amazon(*numbers):
    return [AMAZON[n - 1].file for n in numbers]
