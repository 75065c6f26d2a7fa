"""The tables of known roots: how they are made, what they choose, which dates are signed, their age; and
what a CA says of itself."""
import datetime
import re
import subprocess
import sys

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID

import ctl
import net_pki
from ctl import DAY, NOW, Root

ROOTS = ctl.CHECKOUT / "deploy" / "roots"
PAST, PLANNED = "2025-04-15", "2035-04-15"


def write_table(folder, *rows, as_of=None, name="ours"):
    """Rows of (root, day of distrust, file)."""
    table = folder / f"{name}.txt"
    lines = [f"as-of {as_of}\n"] if as_of else []
    lines += [f"{r.sha256} {r.spki_sha256} 2040-01-01 {day} {file} {r.file.stem}\n"
              for r, day, file in rows]
    table.write_text("".join(lines))
    return table


def add_args(p, *more, set_name="roots", command="add"):
    return ["bundle", command, *p.place, "--set", set_name, "--profile", "full", "--lead", "0",
            *(["--drop", "all"] if command == "add" else []), "--accept", "no-successor", "--accept",
            "no-overlap", *more]


def dates(p):
    return {x["sha256"]: x.get("distrust_after") for x in p.description().get("anchors", [])}


def end_of(day):
    return f"{day}T23:59:59Z"


# ---- making them ----------------------------------------------------------------------------------

def octal(data):
    return "MULTILINE_OCTAL\n" + "".join(f"\\{byte:03o}" for byte in data) + "\nEND"


def listed(root, trust="TRUSTED_DELEGATOR", in_certificate=None, in_trust=None):
    """The two objects that certdata.txt has of a root."""
    def day(text):
        return "CKA_NSS_SERVER_DISTRUST_AFTER " + (octal(text.encode()) if text else "CK_BBOOL CK_FALSE")
    of = (f'CKA_LABEL UTF8 "{root.file.stem}"\nCKA_ISSUER {octal(root.sha256.encode())}\n'
          f'CKA_SERIAL_NUMBER {octal(b"1")}\n')
    return ("CKA_CLASS CK_OBJECT_CLASS CKO_CERTIFICATE\n" + of + f"CKA_VALUE {octal(root.der)}\n" +
            day(in_certificate) + "\nCKA_CLASS CK_OBJECT_CLASS CKO_NSS_TRUST\n" + of +
            (day(in_trust) + "\n" if in_trust else "") +
            f"CKA_TRUST_SERVER_AUTH CK_TRUST CKT_NSS_{trust}\n")


def make_tables(folder, *lists):
    """{SHA-256: (day of distrust, file)} of mozilla.txt."""
    words = []
    for number, roots in enumerate(lists):
        file = folder / f"certdata-{number}.txt"
        file.write_text("# a list\n" + "".join(roots))
        words += ["--certdata", file]
    out = folder / "out"
    out.mkdir()
    done = subprocess.run([sys.executable, ROOTS / "make-tables.py", *words, "--date", "2026-06-01",
                           "--out", out], capture_output=True, text=True, check=True)
    assert "amazon.txt: Mozilla's list does not trust Amazon Root CA 1" in done.stderr
    assert "\nas-of 2026-06-01\n" in (out / "mozilla.txt").read_text()
    rows = [line.split() for line in (out / "mozilla.txt").read_text().splitlines()
            if re.match("[0-9a-f]{64} ", line)]
    return {row[0]: (row[3], row[4]) for row in rows}


def test_a_date_stands_in_either_object_and_keeps_its_time_of_day(tmp_path):
    none, cert, trust, both, noon, long = (
        Root(tmp_path, n) for n in ("none", "cert", "trust", "both", "noon", "long"))
    made = make_tables(tmp_path, [
        listed(none), listed(cert, in_certificate="260415235959Z"),
        listed(trust, in_trust="260415235959Z"),
        listed(both, in_certificate="270415235959Z", in_trust="260415235959Z"),
        listed(noon, in_trust="260415120000Z"), listed(long, in_trust="20260415235959Z")])
    assert {sha256: day for sha256, (day, _) in made.items()} == {
        none.sha256: "-", cert.sha256: "2026-04-15", trust.sha256: "2026-04-15",
        both.sha256: "2026-04-15", noon.sha256: "2026-04-15T12:00:00Z",
        long.sha256: "2026-04-15"}


def test_what_is_not_trusted_for_websites_is_chosen_by_nothing(tmp_path):
    mail, past, future, gone, back = (Root(tmp_path, n) for n in ("mail", "past", "future", "gone", "back"))
    forgotten = Root(tmp_path, "forgotten")
    made = make_tables(
        tmp_path,
        [listed(mail, trust="MUST_VERIFY_TRUST"),
         listed(past, trust="MUST_VERIFY_TRUST", in_certificate="250415235959Z"),
         listed(future, trust="MUST_VERIFY_TRUST", in_certificate="350415235959Z"), listed(back)],
        [listed(gone, in_trust="241130235959Z"), listed(forgotten), listed(back, in_trust="241130235959Z")])
    assert made == {past.sha256: ("2025-04-15", "-"), gone.sha256: ("2024-11-30", "-"),
                    back.sha256: ("-", f"{back.file.stem}.crt")}


def test_the_tables_that_ship():
    rows = {}
    for file in ROOTS.glob("*.txt"):
        text = file.read_text()
        assert re.search(r"^as-of 202\d-\d\d-\d\d$", text, re.M), file
        rows[file.stem] = [line.split(None, 5) for line in text.splitlines()
                           if re.match("[0-9a-f]{64} ", line)]
        assert rows[file.stem], file
    assert {row[5] for row in rows["letsencrypt"]} == {
        "ISRG Root X1", "ISRG Root X2", "ISRG Root YE", "ISRG Root YR"}
    # What Microsoft documents for Azure, "Azure Certificate Authority details".
    assert {row[5] for row in rows["azure"]} == {
        "DigiCert Global Root G2", "DigiCert Global Root G3", "DigiCert TLS RSA4096 Root G5",
        "DigiCert TLS ECC P384 Root G5", "Microsoft RSA Root Certificate Authority 2017",
        "Microsoft ECC Root Certificate Authority 2017", "Microsoft TLS RSA Root G2"}
    named = {row[5]: row for row in rows["mozilla"]}
    assert named["Izenpe.com"][3] == "2026-04-15" and named["Izenpe.com"][4] != "-"
    assert (named["ePKI Root Certification Authority"][3],
            named["ePKI Root Certification Authority"][4]) == ("2025-04-15", "-")
    assert not [name for name in named if re.match("TrustCor|E-Tugra|CommScope", name)]
    for row in rows["mozilla"]:
        assert row[4] != "-" or row[3] != "-", row  # of a removed root nothing but its day is of use


# ---- which dates are signed -----------------------------------------------------------------------

def test_a_list_is_taken_over_with_the_dates_that_have_passed(p, a, b, tmp_path):
    c = Root(tmp_path, "Root C")
    table = write_table(tmp_path, (a, PAST, "a"), (b, PLANNED, "b"), (c, "-", "c"))
    said = ctl.ok(*add_args(p, "--roots", table, "--select", "ours", a.file, b.file, c.file))
    assert dates(p) == {a.sha256: end_of(PAST)}
    assert f"until {a.cert.not_valid_after.date()}, distrust after {PAST}\n" in said
    ctl.ok(*add_args(p, "--roots", table, "--select", "ours", "--distrust-after", f"{a.sha256}=none",
                     a.file, b.file, c.file))
    assert dates(p) == {}


def test_a_root_that_is_asked_for_by_name_gets_no_date_unasked(p, a, b, tmp_path):
    table = write_table(tmp_path, (a, PAST, "a"), (b, PLANNED, "b"))
    said = ctl.ok(*add_args(p, "--roots", table, a.file, b.file))
    assert dates(p) == {} and "warning distrust-soon" in said
    ctl.ok(*add_args(p, "--roots", table, "--select", a.sha256, "--select", "ours", a.file, b.file))
    assert dates(p) == {}


def test_planned_dates_are_signed_by_one_word(p, a, b, tmp_path):
    table = write_table(tmp_path, (a, PAST, "a"), (b, PLANNED, "b"))
    planned = ("--roots", table, "--planned-dates", a.file, b.file)
    ctl.ok(*add_args(p, *planned))
    assert dates(p) == {a.sha256: end_of(PAST), b.sha256: end_of(PLANNED)}
    ctl.ok(*add_args(p, "--distrust-after", f"{a.sha256}=2024-01-01", "--distrust-after",
                     f"{b.sha256}=2036-01-01", *planned))
    assert dates(p) == {a.sha256: end_of("2024-01-01"), b.sha256: end_of("2036-01-01")}
    ctl.ok(*add_args(p, *planned))  # the earlier of the signed and the planned date
    assert dates(p) == {a.sha256: end_of("2024-01-01"), b.sha256: end_of(PLANNED)}


def test_import_leaves_what_is_there_as_it_is(p, a, b, tmp_path):
    table = write_table(tmp_path, (a, PAST, "a"), (b, PAST, "b"))
    ctl.ok(*add_args(p, "--roots", table, a.file))
    ctl.ok(*add_args(p, "--roots", table, "--select", "ours", a.file, b.file, command="import"))
    assert dates(p) == {b.sha256: end_of(PAST)}


# ---- what is chosen -------------------------------------------------------------------------------

def test_a_removed_root_is_not_chosen_and_not_known(p, a, b, tmp_path):
    table = write_table(tmp_path, (a, PAST, "-"), (b, "-", "b"))
    said = ctl.ok(*add_args(p, "--roots", table, "--select", "ours", a.file, b.file))
    assert [x["sha256"] for x in p.newest()["anchors"]] == [b.sha256]
    assert f'"{a.cert.subject.rfc4514_string()}"' in said or "CN=Root A" in said
    assert "known-root-missing" not in said
    assert (f'Root A" was removed from a table of known roots: distrusted for what is issued after {PAST}. '
            f"Leave it out, or give --pin with its SHA-256 {a.sha256}") in p.refuses(
                *add_args(p, "--roots", table, a.file, b.file))
    p.add("--roots", table, a.file, b.file)  # pinned
    lint = ctl.ok("lint", "--repo", p.repo, "--set", "roots", "--roots", table, "--lead", "0")
    assert re.search(rf'warning distrust-soon .*CN=Root A" is distrusted.* issued after {PAST}', lint)


def test_what_select_leaves_out_of_named_files_is_named(p, a, b):
    [said] = [line for line in ctl.ok(*add_args(p, "--pin", a.sha256, "--select", "Root A", a.file, b.file))
              .splitlines() if "not-selected" in line]
    assert said.endswith('1 certificate(s) are left out, because no --select chooses them: '
                         f'"O=Holdfast Test, CN=Root B" ({b.file})')
    found = ctl.report("publish-report", *add_args(p, "--again", "--select", "Root A", a.file, b.file))
    [bundle] = found["bundles"]
    assert "not-selected" in {x["code"] for x in bundle["findings"]}


def test_what_a_chosen_table_has_and_the_files_lack(p, a, b, tmp_path):
    table = write_table(tmp_path, (a, "-", "a"), (b, "-", "b"))
    said = ctl.ok(*add_args(p, "--roots", table, "--select", "ours", a.file))
    assert "warning known-root-missing (ours): of the table that was chosen, these roots are in none of " \
        f'the files: "{b.file.stem}"; get them from their owners' in said
    said = ctl.ok(*add_args(p, "--roots", table, "--select", "ours", a.file, set_name="ours") + ["--new"])
    assert said.count("known-root-missing") == 1  # lint says it of a set of that name


# ---- their age ------------------------------------------------------------------------------------

@pytest.mark.parametrize("days,is_old", [(182, False), (183, True)])
def test_old_tables_are_named_by_the_publishers_clock(tmp_path, days, is_old):
    as_of = datetime.datetime.fromisoformat(ctl.AS_OF)
    at = f"{as_of + days * DAY - DAY / 2:%Y-%m-%d %H:%M:%S}"
    a = Root(tmp_path, "Root A", start=as_of, end=as_of + 3650 * DAY)
    table = write_table(tmp_path, (a, "-", "a"))
    p = ctl.Publisher(tmp_path, at=at)
    place = ["--repo", p.repo, "--roots", table]
    added = ctl.ok(*add_args(p, "--roots", table, "--select", "ours", a.file), at=at)
    plan = ctl.report("plan-report", "plan", *place, at=at)
    assert [x["code"] for x in plan["findings"]] == (["tables-old"] if is_old else [])
    lint = ["lint", "--set", "roots", "--lead", "0", "--accept", "no-successor", *place]
    for text in (added, ctl.ok("plan", *place, at=at), ctl.ok(*lint, at=at)):
        assert (f"this table of known roots is of {ctl.AS_OF}, older than half a year" in text) == is_old
    # --at asks about the roots; how old the tables are is a matter of today.
    later = f"{as_of + 2000 * DAY:%Y-%m-%d}"
    assert ("tables-old" in ctl.run(*lint, "--at", later, at=at).out) == is_old
    if is_old:  # where no table chooses, nothing depends on one
        assert "tables-old" not in p.add(a.file, Root(tmp_path, "Root B", start=as_of).file, at=at)


def test_a_table_of_ones_own_may_say_how_old_it_is(p, a, tmp_path):
    table = write_table(tmp_path, (a, "-", "a"), as_of="2020-01-01")
    said = ctl.ok(*add_args(p, "--roots", table, "--select", "ours", a.file))
    assert "warning tables-old (ours): this table of known roots is of 2020-01-01" in said
    table.write_text("as-of today\n")
    assert p.refuses(*add_args(p, "--roots", table, "--pin", a.sha256, a.file)).startswith(
        f"{table}, line 1: expected the day on which the table was right, as-of YYYY-MM-DD")


# ---- what a CA says of itself ---------------------------------------------------------------------

def limited(folder, name, *extensions, critical=False):
    """A root with these extensions, in a file."""
    root = Root(folder, name)
    builder = (x509.CertificateBuilder().subject_name(root.subject).issuer_name(root.subject)
               .public_key(root.key.public_key()).serial_number(x509.random_serial_number())
               .not_valid_before(NOW - 10 * DAY).not_valid_after(NOW + 3650 * DAY)
               .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True))
    for extension in extensions:
        builder = builder.add_extension(extension, critical=critical)
    root.cert = builder.sign(root.key, hashes.SHA256())
    net_pki.write_pem(root.file, root.cert)
    return root


NAMES = x509.NameConstraints([x509.DNSName("factory.invalid")], None)
MAIL = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])


@pytest.mark.parametrize("extensions,expected", [
    ([], set()), ([NAMES], {"name-constraints"}),
    ([x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])], set()),
    ([x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE])], set()),
])
def test_limits_that_a_ca_has_set_itself(p, b, tmp_path, extensions, expected):
    root = limited(tmp_path, "Factory", *extensions)
    codes = {"name-constraints"}
    said = p.add(root.file, b.file)
    assert {code for code in codes if f"warning {code} (roots/full 1): " in said} == expected
    for more in (["--repo", p.repo], [root.file, b.file]):
        out = ctl.ok("lint", "--set", "roots", "--lead", "0", *more)
        assert {code for code in codes if f"warning {code} (" in out} == expected
        assert all('CN=Factory" ' in line for line in out.splitlines() if any(c in line for c in codes))


def test_a_root_for_mail_only_is_of_no_use_to_devices(p, b, tmp_path):
    root = limited(tmp_path, "Post", MAIL)
    why = ('"O=Holdfast Test, CN=Post" is not for servers: its extendedKeyUsage lacks serverAuth, so devices refuse '
           'every chain that ends in it; leave it out')
    assert p.refuses_to_add(root.file, b.file) == why
    outcome = ctl.run("lint", "--set", "roots", root.file, b.file)
    assert outcome.code == 1 and f"error not-for-servers (these files): {why}" in outcome.out


@pytest.mark.parametrize("critical", [True, False])
def test_older_devices_skip_a_root_with_critical_constraints(p, b, tmp_path, critical):
    root = limited(tmp_path, "Factory", NAMES, critical=critical)
    said = p.add(root.file, b.file)
    assert ('anchor-unusable (roots/full 1): "O=Holdfast Test, CN=Factory" has critical constraints' in said) == critical
