#!/usr/bin/python3
"""Write the tables of known roots from Debian's own files.

    make-tables.py [--certdata FILE]… [--newest FOLDER=YYYY-MM-DD] [--out FOLDER]

Certificates come from /usr/share/ca-certificates/mozilla and from each certdata.txt given (Mozilla's
list, as in mozilla/ of the source package ca-certificates); of several the first given counts. The
day from which root programs accept no newly issued certificates is CKA_NSS_SERVER_DISTRUST_AFTER of
certdata.txt; where that says nothing the column holds "-". A root that was taken out has no entry
that could say so: --newest names the certificates of a newer package and its day, and what is missing
there and had not expired is distrusted from that day at the latest. amazon.txt is written by hand: AWS's
page and the schedule for its keys are its sources; its fingerprints are compared with Debian's files.
"""
import argparse
import datetime
import hashlib
import re
import sys
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

DEBIAN = Path("/usr/share/ca-certificates/mozilla")
HERE = Path(__file__).resolve().parent
SETS = {
    "azure": ("The roots that Azure's endpoints use, and the one that they moved away from.",
              ["DigiCert Global Root G2", "DigiCert Global Root G3",
               "Microsoft RSA Root Certificate Authority 2017",
               "Microsoft ECC Root Certificate Authority 2017", "Baltimore CyberTrust Root"]),
    "google": ("Google Trust Services, and the GlobalSign roots that its chains also end in.",
               ["GTS Root R1", "GTS Root R2", "GTS Root R3", "GTS Root R4",
                "GlobalSign ECC Root CA - R4", "GlobalSign Root CA"]),
    "letsencrypt": ("Let's Encrypt.", ["ISRG Root X1", "ISRG Root X2"]),
}
HEAD = """# {title} Written by make-tables.py; amazon.txt explains the columns.
#
# sha256                                                         spki                                                             not_after  distrust   file name
"""


class Root:
    def __init__(self, der, name, file, distrust="-"):
        cert = x509.load_der_x509_certificate(der)
        spki = cert.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.sha256 = hashlib.sha256(der).hexdigest()
        self.spki = hashlib.sha256(spki).hexdigest()
        self.not_after = cert.not_valid_after.date().isoformat()
        self.distrust, self.file, self.name = distrust, file, name

    def line(self):
        return f"{self.sha256} {self.spki} {self.not_after} {self.distrust:10} {self.file} {self.name}\n"


def name_of(file):
    """As Debian calls it: the common names of several of GlobalSign's roots are the same."""
    return file.removesuffix(".crt").replace("_", " ")


def octal(lines):
    """The bytes of a MULTILINE_OCTAL value, up to its END."""
    data = bytearray()
    for line in lines:
        if line.startswith("END"):
            return bytes(data)
        data += bytes(int(digits, 8) for digits in re.findall(r"\\([0-7]{3})", line))
    sys.exit("certdata: a value without END")


def day_of(utc_time):
    return datetime.datetime.strptime(utc_time.decode(), "%y%m%d%H%M%SZ").date().isoformat()


def objects(certdata):
    """Each object as {attribute: value}."""
    found, lines = {}, iter(certdata.read_text().splitlines())
    for line in lines:
        words = line.split(None, 2)
        if len(words) < 2 or not words[0].startswith("CKA_"):
            continue
        if words[0] == "CKA_CLASS" and found:
            yield found
            found = {}
        found[words[0]] = octal(lines) if words[1] == "MULTILINE_OCTAL" else words[-1]
    yield found


def from_certdata(certdata):
    """Roots that are trusted for servers, with what Mozilla plans for them."""
    everything = list(objects(certdata))
    trusted = {(o["CKA_ISSUER"], o["CKA_SERIAL_NUMBER"]) for o in everything
               if o.get("CKA_TRUST_SERVER_AUTH") == "CKT_NSS_TRUSTED_DELEGATOR"}
    for o in everything:
        if "CKA_VALUE" not in o or (o["CKA_ISSUER"], o["CKA_SERIAL_NUMBER"]) not in trusted:
            continue
        date = o.get("CKA_NSS_SERVER_DISTRUST_AFTER", "CK_FALSE")
        label = o["CKA_LABEL"].strip('"')
        file = re.sub(r"[()]", "=", label).replace("/", "_").replace(" ", "_").replace(",", "_") + ".crt"
        yield Root(o["CKA_VALUE"], name_of(file), file,
                   day_of(date) if isinstance(date, bytes) else "-")


def from_folder(folder):
    for file in sorted(folder.glob("*.crt")):
        der = x509.load_pem_x509_certificate(file.read_bytes()).public_bytes(Encoding.DER)
        yield Root(der, name_of(file.name), file.name)


def take_out(known, newest):
    """The distrust of keys that root programs do not have any more; a reissued root is still there."""
    folder, day = newest.rsplit("=", 1)
    present = {root.spki for root in from_folder(Path(folder))}
    for root in known.values():
        if root.spki not in present and root.not_after > day and root.distrust == "-":
            root.distrust = day


def write(out, set_name, title, roots):
    text = HEAD.format(title=title) + "".join(root.line() for root in roots)
    (out / f"{set_name}.txt").write_text(text)


def check_amazon(known):
    for line in (HERE / "amazon.txt").read_text().splitlines():
        if line and line[0] != "#":
            sha256, spki, not_after = line.split()[:3]
            root = known.get(sha256)
            if root is None or (root.spki, root.not_after) != (spki, not_after):
                sys.exit(f"amazon.txt: Debian has no such root: {line}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--certdata", type=Path, action="append", default=[])
    parser.add_argument("--newest", metavar="FOLDER=YYYY-MM-DD")
    parser.add_argument("--out", type=Path, default=HERE)
    chosen = parser.parse_args()
    known = {}
    for source in [*map(from_certdata, chosen.certdata), from_folder(DEBIAN)]:
        for root in source:
            known.setdefault(root.sha256, root)
    if chosen.newest:
        take_out(known, chosen.newest)
    check_amazon(known)
    roots = sorted(known.values(), key=lambda root: (root.name.casefold(), root.sha256))
    for set_name, (title, names) in SETS.items():
        wanted = [root for name in names for root in roots if root.name == name]
        if len(wanted) < len(names):
            sys.exit(f"{set_name}: Debian lacks one of {names}")
        write(chosen.out, set_name, title, wanted)
    write(chosen.out, "mozilla", "Mozilla's whole list, as Debian ships it.", roots)


if __name__ == "__main__":
    main()
