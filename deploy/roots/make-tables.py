#!/usr/bin/python3
"""Write the tables of known roots from Mozilla's list.

    make-tables.py --certdata FILE [--certdata OLDER]… [--date YYYY-MM-DD] [--out FOLDER]

FILE is certdata.txt of the newest NSS: lib/ckfw/builtins in Debian's source package nss, or mozilla in
ca-certificates. A root is listed when FILE trusts it for websites (CKA_TRUST_SERVER_AUTH). The day from
which no newly issued certificate is accepted is CKA_NSS_SERVER_DISTRUST_AFTER, which NSS writes into
the certificate object or into the trust object; "-" where there is none. A day alone means its last
second; any other time of day is kept.

A root that FILE no longer trusts is left out. If FILE or an OLDER list says that it was distrusted after
a day that has passed, it is listed with that day and "-" as its file: nothing chooses it, but lint can
tell a publisher who still has it.

--date is the day on which FILE was the newest list (default: today). holdfastctl warns when the tables
are older than half a year. amazon.txt and amazon-eu.txt are written by hand: AWS's page and the schedule
for keys are their sources. They are compared with FILE.
"""
import argparse
import datetime
import hashlib
import re
import sys
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

HERE = Path(__file__).resolve().parent
SETS = {
    "azure": ("The roots that Azure's endpoints use. It moves to Microsoft TLS RSA Root G2 since 2026.",
              ["DigiCert Global Root G2", "DigiCert Global Root G3",
               "DigiCert TLS RSA4096 Root G5", "DigiCert TLS ECC P384 Root G5",
               "Microsoft RSA Root Certificate Authority 2017",
               "Microsoft ECC Root Certificate Authority 2017", "Microsoft TLS RSA Root G2"]),
    "google": ("Google Trust Services, and the GlobalSign root whose key it has taken over.",
               ["GTS Root R1", "GTS Root R3", "GTS Root R4", "GlobalSign ECC Root CA - R4"]),
    "letsencrypt": ("Let's Encrypt. It issues from Root YE and Root YR since 2026-05-13.",
                    ["ISRG Root X1", "ISRG Root X2", "ISRG Root YE", "ISRG Root YR"]),
}
# In use, but not in Mozilla's list yet: (sha256, spki, not_after, file, name).
NOT_LISTED_YET = [
    ("e14ffcad5b0025731006caa43a121a22d8e9700f4fb9cf852f02a708aa5d5666",
     "b0292ae545978e0fbb98abbd94c861605e5b18bb32ed523f50d5b7b5c71d47bc",
     "2045-09-02", "root-ye.pem", "ISRG Root YE"),
    ("e57b7e6f150c419102e8d5c055729ff967b9d1a829bf00cec89ca604ebf4a86f",
     "7e4e8838a8add6295de7ae3b047d3aba3488ab95db0a0aa56d897a00d8618bcf",
     "2045-09-02", "root-yr.pem", "ISRG Root YR"),
    ("6a170583db584151e1c454eeca2a64cc5d8e484a5bd1156e720b4458654ee9e5",
     "4b03c9966c863b2c008a95a5ed9254070448c7b219d283102f6a6c5b6e8e2acd",
     "2040-04-10", "Microsoft_TLS_RSA_Root_G2.crt", "Microsoft TLS RSA Root G2"),
]
HAND_WRITTEN = ["amazon", "amazon-eu"]
HEAD = """# {title} Written by make-tables.py; amazon.txt explains the columns.
as-of {date}
#
# sha256                                                         spki                                                             not_after  distrust   file name
"""


class Root:
    def __init__(self, sha256, spki, not_after, file, name, distrust="-"):
        self.sha256, self.spki, self.not_after = sha256, spki, not_after
        self.file, self.name, self.distrust = file, name, distrust
        self.is_trusted = True

    @classmethod
    def of_der(cls, der, label, distrust):
        cert = x509.load_der_x509_certificate(der)
        spki = cert.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        file = re.sub(r"[()]", "=", re.sub(r"[/ ,]", "_", label)) + ".crt"  # as Debian names it
        return cls(hashlib.sha256(der).hexdigest(), hashlib.sha256(spki).hexdigest(),
                   cert.not_valid_after.date().isoformat(), file,
                   file.removesuffix(".crt").replace("_", " "), distrust)

    def line(self):
        return f"{self.sha256} {self.spki} {self.not_after} {self.distrust:10} {self.file} {self.name}\n"


def octal(lines):
    """The bytes of a MULTILINE_OCTAL value, up to its END."""
    data = bytearray()
    for line in lines:
        if line.startswith("END"):
            return bytes(data)
        data += bytes(int(digits, 8) for digits in re.findall(r"\\([0-7]{3})", line))
    sys.exit("certdata: a value without END")


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


def label_of(certificate):
    """NSS writes what is not ASCII as \\xNN."""
    text = certificate["CKA_LABEL"].strip('"').encode()
    return re.sub(rb"\\x([0-9a-fA-F]{2})", lambda m: bytes([int(m[1], 16)]), text).decode()


def distrust_of(*objects_of_one):
    """The earliest day that either object of a root holds."""
    values = [o.get("CKA_NSS_SERVER_DISTRUST_AFTER") for o in objects_of_one]
    # UTCTime, or GeneralizedTime with four digits of the year.
    moments = [datetime.datetime.strptime(value.decode(), f"%{'y' if len(value) == 13 else 'Y'}%m%d%H%M%SZ")
               for value in values if isinstance(value, bytes)]
    if not moments:
        return "-"
    first = min(moments)
    is_end_of_day = first.time() == datetime.time(23, 59, 59)
    return first.date().isoformat() if is_end_of_day else first.isoformat() + "Z"


def read_list(certdata):
    """Every root of a list, trusted for websites or not."""
    everything = list(objects(certdata))
    trust = {(o["CKA_ISSUER"], o["CKA_SERIAL_NUMBER"]): o for o in everything
             if "CKA_TRUST_SERVER_AUTH" in o}
    for o in everything:
        if "CKA_VALUE" not in o:
            continue
        own = trust.get((o["CKA_ISSUER"], o["CKA_SERIAL_NUMBER"]), {})
        root = Root.of_der(o["CKA_VALUE"], label_of(o), distrust_of(o, own))
        root.is_trusted = own.get("CKA_TRUST_SERVER_AUTH") == "CKT_NSS_TRUSTED_DELEGATOR"
        yield root


def choose(lists, date):
    """What the newest list trusts; and, without a file, what it does not but some list has a past day of."""
    newest = list(lists[0])
    trusted_keys = {root.spki for root in newest if root.is_trusted}
    chosen = {root.sha256: root for root in newest if root.is_trusted}
    for root in [*newest, *(root for older in lists[1:] for root in older)]:
        if root.spki not in trusted_keys and root.distrust[:10] <= date and root.distrust != "-":
            root.file = "-"
            chosen.setdefault(root.sha256, root)
    return chosen


def check_by_hand(set_name, known):
    for line in (HERE / f"{set_name}.txt").read_text().splitlines():
        if not re.match("[0-9a-f]{64} ", line):
            continue
        sha256, spki, not_after, _, _, name = line.split(None, 5)
        root = known.get(sha256)
        if root is None or root.file == "-":
            print(f"{set_name}.txt: Mozilla's list does not trust {name}", file=sys.stderr)
        elif (root.spki, root.not_after) != (spki, not_after):
            sys.exit(f"{set_name}.txt: the list has other values for this root: {line}")


def write(out, set_name, title, date, roots):
    text = HEAD.format(title=title, date=date) + "".join(root.line() for root in roots)
    (out / f"{set_name}.txt").write_text(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--certdata", type=Path, action="append", required=True)
    parser.add_argument("--date", type=lambda text: datetime.date.fromisoformat(text).isoformat(),
                        default=datetime.datetime.now(datetime.timezone.utc).date().isoformat())
    parser.add_argument("--out", type=Path, default=HERE)
    chosen = parser.parse_args()
    known = choose([list(read_list(file)) for file in chosen.certdata], chosen.date)
    for set_name in HAND_WRITTEN:
        check_by_hand(set_name, known)
    roots = sorted(known.values(), key=lambda root: (root.name.casefold(), root.sha256))
    usable = {root.name: root for root in roots if root.file != "-"}
    for root in map(lambda fields: Root(*fields), NOT_LISTED_YET):
        usable.setdefault(root.name, root)
    for set_name, (title, names) in SETS.items():
        for name in names:
            if name not in usable:
                print(f"{set_name}: Mozilla's list does not trust {name}; it is left out",
                      file=sys.stderr)
        write(chosen.out, set_name, title, chosen.date,
              [usable[name] for name in names if name in usable])
    write(chosen.out, "mozilla", "Mozilla's list of roots that are trusted for websites.", chosen.date,
          roots)


if __name__ == "__main__":
    main()
