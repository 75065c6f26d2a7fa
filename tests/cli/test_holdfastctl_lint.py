"""holdfastctl lint: each mistake by its code, and each outage that a publisher could have prevented.

The tests named test_outage_… are the rows of server/publish/lint/LINT.md.
"""
import json
import os
import re
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa

import ctl
import json_schema
import net_pki
from ctl import DAY, NOW


def lint(*options, set_name="roots"):
    """What it found; the exit code follows from that."""
    outcome = ctl.run("lint", "--set", set_name, "--json", *options)
    assert outcome.err == "", outcome
    found = json.loads(outcome.out)
    json_schema.check(found, "lint-report.schema.json")
    errors = [x for x in found["findings"] if x["severity"] == "error"]
    warnings = [x for x in found["findings"] if x["severity"] == "warning"]
    assert (found["errors"], found["warnings"]) == (len(errors), len(warnings))
    assert outcome.code == (1 if errors else 0)
    return [x for x in found["findings"] if x["code"] != "tables-old"]


def codes(*options, severity=None, **names):
    return [x["code"] for x in lint(*options, **names) if severity in (None, x["severity"])]


def errors(*options, **names):
    return codes(*options, severity="error", **names)


def in_repo(p):
    return ["--repo", p.repo]


def on(moment):
    return ["--at", moment.strftime("%Y-%m-%d")]


def endpoints(folder, *lines):
    """A list of (kind, name, *chains), each chain certificates from the leaf upwards."""
    text = ""
    for number, (kind, name, *chains) in enumerate(lines):
        files = [f"chain-{number}-{i}.pem" for i in range(len(chains))]
        for file, chain in zip(files, chains):
            net_pki.write_pem(folder / file, *chain)
        text += " ".join([kind, name, *files]) + "\n"
    (folder / "endpoints.txt").write_text("# what devices meet\n\n" + text)
    return ["--endpoints", folder / "endpoints.txt"]


def leaf(authority, bits=None):
    return authority.leaf("iot.test", start=NOW - 20 * DAY, end=NOW + 60 * DAY, key_bits=bits)[0]


def leaf_sha384(authority):
    """As `leaf`, with another digest under its signature."""
    plain = leaf(authority)
    builder = (x509.CertificateBuilder().subject_name(plain.subject).issuer_name(plain.issuer)
               .public_key(plain.public_key()).serial_number(plain.serial_number)
               .not_valid_before(plain.not_valid_before).not_valid_after(plain.not_valid_after))
    return builder.sign(authority.key, hashes.SHA384())


def table(folder, name, *rows):
    """A table of known roots, of (root, planned day of distrust)."""
    file = folder / f"{name}.txt"
    file.write_text("".join(f"{r.sha256} {r.spki_sha256} 2040-01-01 {when} f {r.file.stem}\n"
                            for r, when in rows))
    return ["--roots", file]


# ---- nothing to say -------------------------------------------------------------------------------

def test_a_sound_set_has_no_findings(p, a, b):
    p.add(a.file, b.file)
    assert lint(*in_repo(p)) == []
    out = ctl.ok("lint", "--set", "roots", *in_repo(p))
    assert out.endswith(f"0 error(s), {ctl.N_OLD_TABLES} warning(s)\n")


def test_sentences_stand_with_their_codes(p, a):
    p.add(a.file)
    out = ctl.ok("lint", "--set", "roots", *in_repo(p))
    assert 'warning single-anchor (roots/full 1): "' in out
    assert out.endswith(f"0 error(s), {1 + ctl.N_OLD_TABLES} warning(s)\n")


# ---- what bundle add would refuse -----------------------------------------------------------------

def test_a_root_that_needs_a_pin_is_an_error_with_repo(p, a, b):
    p.add(a.file)
    outcome = ctl.run("lint", "--set", "roots", "--lead", "0", *in_repo(p), a.file, b.file)
    line, = [x for x in outcome.out.splitlines() if x.startswith("error")]
    assert line.startswith(f"error unknown-root ({b.file}): ") and b.sha256 in line
    assert outcome.code == 1 and "--pin" in line
    pinned = ctl.run("lint", "--set", "roots", "--lead", "0", *in_repo(p), "--pin", b.sha256, a.file,
                     b.file)
    assert pinned.code == 0, pinned
    assert "unknown-root" not in ctl.run("lint", "--set", "roots", "--lead", "0", b.file).out


@pytest.mark.parametrize("name, sentence", [
    (dict(set="rotos"), 'there is no set "rotos", did you mean "roots"? --new creates it in bundle add'),
    (dict(profile="ful"), 'set "roots" has no profile "ful", did you mean "full"? --new creates it in bundle add'),
    (dict(profile="rsa"), None), (dict(repo=False, set="rotos"), None),
])
def test_a_name_that_bundle_add_takes_for_a_typo_is_an_error(p, a, b, name, sentence):
    p.add(a.file, b.file)
    repo = ["--repo", p.repo] if name.get("repo", True) else []
    outcome = ctl.run("lint", "--set", name.get("set", "roots"), "--profile", name.get("profile", "full"),
                      "--lead", "0", "--pin", a.sha256, "--pin", b.sha256, *repo, a.file, b.file)
    line = [x for x in outcome.out.splitlines() if x.startswith("error")]
    assert line == ([f"error new-set (these files): {sentence}"] if sentence else [])
    assert outcome.code == len(line)


def test_a_pin_that_fits_no_file_is_refused_as_by_bundle_add(p, a, b):
    p.add(a.file)
    assert ctl.refused("lint", "--set", "roots", *in_repo(p), "--pin", b.sha256, a.file, code=2) == (
        f"--pin {b.sha256}: no certificate or key of that SHA-256 is given")


@pytest.mark.parametrize("name, found", [
    ("b.p7b", "error broken-certificate ({}): line 1: it is PKCS#7"), ("b.p12", "error broken-certificate ({}): "),
    ("pipe.pem", "{} is not a regular file; take it out of the folder"),
])
def test_a_folder_hides_no_certificates_and_does_not_hang(a, b, tmp_path, name, found):
    folder = tmp_path / "new"
    folder.mkdir()
    (folder / "a.pem").write_bytes(a.file.read_bytes())
    if name == "pipe.pem":
        os.mkfifo(folder / name)
    else:
        subprocess.run(["openssl", "crl2pkcs7", "-nocrl", "-certfile", b.file, "-out", folder / name], check=True)
    outcome = ctl.run("lint", "--set", "roots", folder)
    assert found.format(folder / name) in outcome.out + outcome.err and outcome.code == 1


def test_a_file_that_is_not_there_is_one_of_the_findings(a, tmp_path):
    outcome = ctl.run("lint", "--set", "roots", a.file, tmp_path / "missing.pem")
    assert outcome.code == 1
    assert f"error broken-certificate ({tmp_path}/missing.pem): there is no " in outcome.out


# ---- certificates ---------------------------------------------------------------------------------

def test_outage_9_three_damaged_bytes(a, b, tmp_path):
    lines = a.file.read_text().splitlines(keepends=True)
    lines[3] = "!!!" + lines[3][3:]
    a.file.write_text("".join(lines))
    finding, = [x for x in lint(a.file, b.file) if x["severity"] == "error"]
    assert (finding["code"], finding["where"]) == ("broken-certificate", str(a.file))


def test_a_damaged_signature_is_a_broken_certificate(a, b, tmp_path):
    der = bytearray(a.der)
    der[-3] ^= 1
    (tmp_path / "damaged.der").write_bytes(der)
    assert errors(b.file, tmp_path / "damaged.der") == ["broken-certificate"]


def test_every_fault_of_every_file_is_found_at_once(a, root, tmp_path):
    inter = root("Server CA", issuer=a)
    net_pki.write_pem(tmp_path / "leaf.pem", leaf(a))
    (tmp_path / "again.der").write_bytes(a.der)
    (tmp_path / "empty.pem").write_text("")
    weak = root("Weak", key=rsa.generate_private_key(65537, 1024))
    found = errors(a.file, inter.file, tmp_path / "leaf.pem", tmp_path / "again.der",
                   tmp_path / "empty.pem", weak.file)
    assert found == ["broken-certificate", "intermediate", "not-a-ca", "weak-certificate"]


def test_outage_6_an_intermediate_as_root(p, a, root):
    inter = root("Server CA 1B", issuer=a, end=NOW + 100 * DAY)
    assert "intermediate" in errors(inter.file)
    p.add("--allow-intermediate", a.file, inter.file)
    assert codes(*in_repo(p)) == ["intermediate-kept", "expires-soon"]


# ---- dates ----------------------------------------------------------------------------------------

def test_what_ends_within_the_lead_time_is_warned_of(p, a, root, tmp_path):
    soon = root("Soon", end=NOW + 200 * DAY)
    p.add("--remove-after", f"{a.sha256}={(NOW + 100 * DAY).date()}", a.file, soon.file,
          root("Good").file)
    assert sorted(codes(*in_repo(p))) == ["expires-soon", "removed-soon"]
    assert codes(*in_repo(p), "--lead", "90") == []
    planned = table(tmp_path, "ours", (a, (NOW + 50 * DAY).date()))
    assert "distrust-soon" in codes(*in_repo(p), *planned)


def test_what_expired_in_the_newest_version_is_an_error(p, a, root):
    short = root("Short", end=NOW + 10 * DAY)
    p.add(a.file, short.file)
    assert errors(*in_repo(p), *on(NOW + 12 * DAY), "--lead", "0") == ["not-in-date",
                                                                      "metadata-expired"]


def test_outage_1_a_root_expires_and_nothing_follows_it(p, root, tmp_path):
    """AddTrust: seen a year before, with the chain that servers send, and on the day itself."""
    old = root("External Root", end=NOW + 200 * DAY)
    new = root("Modern Root")
    cross = root("Modern Root", issuer=old, key=new.key, end=NOW + 199 * DAY)
    chains = endpoints(tmp_path, ("endpoint", "channels.test", [leaf(new), cross.cert]))
    p.add(old.file)
    assert errors(*in_repo(p), *chains) == ["no-successor", "endpoint-anchor-ends"]
    p.add(old.file, new.file)
    assert errors(*in_repo(p), *chains) == []
    later = [*on(NOW + 201 * DAY), "--next-ceremony", str((NOW + 202 * DAY).date())]
    assert [x for x in errors(*in_repo(p), *chains, *later) if not x.startswith("metadata")] == [
        "not-in-date"]  # to be taken out: other programs that read the bundle go astray


def test_outage_2_the_chain_moved_and_the_bundle_did_not(p, root, tmp_path):
    """DST Root X3: the endpoint's root is not the one that devices hold."""
    dst, x1 = root("DST Root", end=NOW + 20 * DAY), root("X1")
    r3 = root("R3", issuer=x1)
    cross = root("X1", issuer=dst, key=x1.key, end=NOW + 300 * DAY)
    chains = endpoints(tmp_path, ("endpoint", "acme.test", [leaf(r3), r3.cert, cross.cert]))
    p.add(dst.file)
    assert "endpoint-anchor-ends" in errors(*in_repo(p), *chains)
    assert "endpoint-anchor-missing" in errors(*in_repo(p), *chains, *on(NOW + 30 * DAY))
    p.add(dst.file, x1.file)
    assert errors(*in_repo(p), *chains) == []


def test_outage_3_policy_ends_trust_before_the_date(p, root, tmp_path):
    """Symantec: a root with years to go that root programs have announced to distrust."""
    symantec = root("Class 3", end=NOW + 3600 * DAY)
    planned = table(tmp_path, "programs", (symantec, (NOW + 300 * DAY).date()))
    p.add(symantec.file)
    assert codes(*in_repo(p)) == ["single-anchor"]
    found = codes(*in_repo(p), *planned)
    assert "distrust-soon" in found and "no-successor" in found


# ---- changes --------------------------------------------------------------------------------------

def add_directly(p, *args):
    """Without what other tests accept."""
    return ["bundle", "add", *p.place, "--set", "roots", "--profile", "full",
            *net_pki.pins(*args), *args]


def test_outage_4_one_pinned_root_and_no_overlap(p, a, b):
    """Baltimore to DigiCert G2: devices on the shelf missed the time in which both were good."""
    assert "warning single-anchor (roots/full 1)" in ctl.ok(*add_directly(p, a.file))
    before = ctl.tree(p.repo, p.keys)
    sentence = ctl.refused(*add_directly(p, "--drop", "all", b.file))
    assert sentence.startswith("nothing was published: no-overlap (roots/full 2): ")
    assert sentence.endswith("If that is meant to be, --accept no-overlap")
    assert ctl.tree(p.repo, p.keys) == before
    ctl.ok(*add_directly(p, a.file, b.file))
    ctl.ok(*add_directly(p, "--drop", "all", b.file))


def test_what_is_accepted_is_signed_and_not_held_against_it(p, a, b):
    ctl.ok(*add_directly(p, a.file))
    out = ctl.ok(*add_directly(p, "--drop", "all", "--accept", "no-overlap", b.file))
    assert "  accepted no-overlap (roots/full 2): " in out
    assert p.description()["accepted"] == ["no-overlap"]
    day = p.description()["accepted_at"][:10]
    assert f"  accepted on {day}: no-overlap\n" in ctl.ok("bundle", "list", *in_repo(p))
    schema = json.loads((ctl.CHECKOUT / "schema/custom.holdfast.schema.json").read_text())
    assert json_schema.fault({"holdfast": p.description()}, schema, schema) is None
    assert errors(*in_repo(p)) == []
    assert ("no-overlap", "accepted") in [(x["code"], x["severity"]) for x in lint(*in_repo(p))]
    assert p.check()["updatable"] is True
    ctl.ok(*add_directly(p, "--again", "--accept", "no-overlap", b.file))
    assert "accepted" not in p.description()  # nothing to accept


def test_what_was_accepted_of_one_endpoint_hides_no_other(p, a, b, root, tmp_path):
    """A lab's endpoint was let go when the bundle was signed; now production moves."""
    p.add(a.file, b.file)
    lab = endpoints(tmp_path, ("endpoint", "lab.test", [leaf(root("Root C"))]))
    ctl.ok(*add_directly(p, "--again", *lab, "--accept", "endpoint-anchor-missing", a.file, b.file))
    assert p.description()["accepted"] == ["endpoint-anchor-missing"]
    moved = endpoints(tmp_path, ("endpoint", "production.test", [leaf(root("Root D"))]))
    assert errors(*in_repo(p), *moved) == ["endpoint-anchor-missing"]
    assert errors(*in_repo(p), *moved, "--accept", "endpoint-anchor-missing") == []
    # And the next version inherits nothing.
    assert "endpoint-anchor-missing" in p.refuses(*add_directly(p, "--again", *lab, a.file, b.file))


def test_what_was_accepted_with_a_long_lead_time_is_news_with_a_short_one(p, root):
    """Years before the end it was no matter; in the last year it is."""
    a = root("Root A", end=NOW + 1000 * DAY)
    ctl.ok(*add_directly(p, "--lead", "5000", "--accept", "no-successor", a.file))
    assert "no-successor" not in codes(*in_repo(p))
    assert ("no-successor", "accepted") in [(x["code"], x["severity"])
                                            for x in lint(*in_repo(p), "--lead", "5000")]
    assert "no-successor" in errors(*in_repo(p), *on(NOW + 700 * DAY))


def test_only_errors_can_be_accepted(p, a):
    for code in ("single-anchor", "everything"):
        assert p.refuses(*add_directly(p, "--accept", code, a.file), code=2) == (
            f"--accept {code}: no error of lint has that code")


def test_certificates_that_devices_cannot_use_are_not_accepted(p, root):
    weak = root("Weak", key=rsa.generate_private_key(65537, 1024)).file
    assert errors(weak) == ["weak-certificate"]
    said = ("--accept weak-certificate: this error cannot be accepted, because devices cannot use such a certificate. "
            "Leave it out")
    assert ctl.refused("lint", "--set", "roots", "--accept", "weak-certificate", weak, code=2) == said
    assert "at least 2048 bits are expected" in p.refuses(*add_directly(p, "--accept", "weak-certificate", weak))


def test_several_errors_are_all_shown(p, a, root):
    ctl.ok(*add_directly(p, a.file))
    short = root("Short", end=NOW + 100 * DAY)
    outcome = ctl.run(*add_directly(p, "--drop", "all", short.file))
    assert (outcome.code, outcome.out) == (1, "")
    assert "error no-overlap (" in outcome.err and "error no-successor (" in outcome.err


def test_files_that_would_shrink_the_set(p, a, b, root):
    p.add(a.file, b.file)
    c = root("Root C")
    assert errors(*in_repo(p), a.file, c.file) == ["unknown-root", "shrinks"]
    assert errors(*in_repo(p), "--pin", c.sha256, a.file, c.file) == ["shrinks"]
    p.add("--drop", "all", a.file)
    assert errors(*in_repo(p)) == []


# ---- endpoints ------------------------------------------------------------------------------------

def test_outage_8_a_hand_picked_subset(p, a, b, tmp_path):
    """An event badge: the endpoint moved to a root of the same owner that was left out."""
    p.add(a.file, set_name="fair-badge")
    known = table(tmp_path, "fair", (a, "-"), (b, "-"))
    found = lint(*in_repo(p), *known, set_name="fair-badge")
    missing, = [x for x in found if x["code"] == "known-root-missing"]
    assert "Root B" in missing["sentence"]
    chains = endpoints(tmp_path, ("endpoint", "badge.test", [leaf(a)], [leaf(b)]))
    finding, = [x for x in lint(*in_repo(p), *chains, set_name="fair-badge")
                if x["severity"] == "error"]
    assert finding["code"] == "endpoint-anchor-missing" and "Root B" in finding["sentence"]


def test_a_profile_that_cannot_validate_its_endpoints(p, a, root, tmp_path):
    r = root("Root RSA", key=rsa.generate_private_key(65537, 2048))
    other = root("Other RSA", key=rsa.generate_private_key(65537, 2048))
    chains = endpoints(tmp_path, ("endpoint", "iot.test", [leaf(a)], [leaf(r, 2048)]))
    p.add("--derive", "rsa,ecc", a.file, r.file)
    assert errors(*in_repo(p), *chains) == []
    p.add("--drop", "all", other.file, profile="rsa")
    found = [(x["code"], x["where"]) for x in lint(*in_repo(p), *chains)]
    assert ("endpoint-anchor-missing", "roots/rsa 2") in found
    assert ("profile-behind", "roots/rsa 2") in found
    only_rsa = endpoints(tmp_path, ("endpoint", "iot.test", [leaf(r, 2048)]))
    assert [x["where"] for x in lint(*in_repo(p), *only_rsa)
            if x["code"] == "endpoint-unchecked"] == ["roots/ecc 1"]


def test_a_signed_distrust_counts_against_the_leafs_date(p, a, b, tmp_path):
    chains = endpoints(tmp_path, ("endpoint", "iot.test", [leaf(a)]))
    p.add("--distrust-after", f"{a.sha256}={(NOW - 30 * DAY).date()}", a.file, b.file)
    assert errors(*in_repo(p), *chains) == ["endpoint-anchor-missing"]
    p.add("--distrust-after", f"{a.sha256}={(NOW - 10 * DAY).date()}", a.file, b.file)
    assert errors(*in_repo(p), *chains) == ["endpoint-anchor-ends"]


def test_a_removal_names_the_endpoint_and_the_day_beforehand(p, a, b, root, tmp_path):
    cross, other = root("Root A", issuer=b, key=a.key), root("Root D")
    chains = endpoints(tmp_path, ("endpoint", "iot.test", [leaf(a), cross.cert]),
                       ("endpoint", "later.test", [leaf(root("Root C"))]))
    first, last = (NOW + 100 * DAY).date(), (NOW + 200 * DAY).date()
    p.add("--remove-after", f"{a.sha256}={first}", "--remove-after", f"{b.sha256}={last}",
          a.file, b.file, other.file)
    finding, = [x for x in lint(*in_repo(p), *chains) if x["code"] == "endpoint-anchor-ends"]
    assert finding["sentence"].startswith("iot.test (")
    assert f'CN=Root B", is removed by devices after {last}. Add ' in finding["sentence"]
    assert "endpoint-anchor-ends" not in errors(*in_repo(p), *chains, "--lead", "150")
    assert "endpoint-anchor-missing" in errors(*in_repo(p), *chains, *on(NOW + 201 * DAY))
    # Nothing is signed without a word about it.
    only = endpoints(tmp_path, ("endpoint", "iot.test", [leaf(a)]))
    said = p.refuses(*add_directly(p, "--again", *only, a.file, b.file, other.file))
    assert "endpoint-anchor-ends" in said and "iot.test" in said and f"after {first}" in said


def test_a_twin_of_a_distrusted_root_is_distrusted_too(p, a, b, root):
    """One key, three certificates: what is signed of one must not be got round by another."""
    date = "2035-01-01T00:00:00Z"
    p.add(a.file, b.file, "--distrust-after", f"{a.sha256}={date}", "--remove-after",
          f"{a.sha256}=2036-01-01")
    twin = root("Root A", issuer=b, key=a.key)
    ctl.ok("bundle", "import", *p.place, "--set", "roots", "--profile", "full", twin.file)
    dated = {x["sha256"]: x for x in p.description()["anchors"]}
    assert dated[twin.sha256] == {"sha256": twin.sha256, "use": "cross-signed",
                                  "distrust_after": date}
    again = root("Root A", key=a.key)
    p.add(b.file, again.file)
    assert p.description()["anchors"] == [{"sha256": again.sha256, "distrust_after": date,
                                           "remove_after": "2036-01-01T23:59:59Z"}]


def test_a_twin_without_the_date_of_the_other(p, a, b, root):
    twin = root("Root A", issuer=b, key=a.key)
    p.add(a.file, b.file, twin.file, "--distrust-after", f"{a.sha256}=2035-01-01")
    [found] = [x for x in lint(*in_repo(p)) if x["code"] == "twin-without-date"]
    assert f"give {twin.sha256} the same dates" in found["sentence"]
    p.add(a.file, b.file, twin.file, "--distrust-after", f"{twin.sha256}=2035-01-01")
    assert "twin-without-date" not in codes(*in_repo(p))


@pytest.mark.parametrize("order", ["root first", "turned round", "an intermediate first"])
def test_a_chain_in_another_order_is_no_chain(p, a, b, root, tmp_path, order):
    """Behind a root that the bundle has, anything would seem to be reached."""
    elsewhere = root("Root C")
    inter = root("Server CA", issuer=elsewhere)
    chain = {"root first": [a.cert, leaf(inter), inter.cert],
             "turned round": [a.cert, root("Sub A", issuer=a).cert, leaf(inter)],
             "an intermediate first": [root("Sub A", issuer=a).cert, leaf(inter)]}[order]
    p.add(a.file, b.file)
    asked = endpoints(tmp_path, ("endpoint", "iot.test", chain))
    sentence = ctl.refused("lint", "--set", "roots", *in_repo(p), *asked)
    assert "it begins with a CA, " in sentence and "itself comes first" in sentence
    p.refuses(*p.add_args(a.file, b.file, *asked))


def changed(plain, issuer, extension):
    """The certificate with this extension, in place of its own of that kind."""
    builder = (x509.CertificateBuilder().subject_name(plain.subject).issuer_name(plain.issuer)
               .public_key(plain.public_key()).serial_number(plain.serial_number)
               .not_valid_before(plain.not_valid_before).not_valid_after(plain.not_valid_after)
               .add_extension(extension, critical=True))
    for other in plain.extensions:
        if other.oid != extension.oid:
            builder = builder.add_extension(other.value, other.critical)
    return builder.sign(issuer.key, hashes.SHA256())


SHORT = x509.BasicConstraints(ca=True, path_length=0)
NO_SIGNER = x509.KeyUsage(True, False, False, False, False, False, False, False, False)


@pytest.mark.parametrize("which, limit, code, words", [
    ("Root B", SHORT, "endpoint-refused", "(path length)"),
    ("Sub", SHORT, "endpoint-refused", "(path length)"),
    ("Server CA", NO_SIGNER, "endpoint-refused", "keyCertSign"),
    (None, None, "endpoint-anchor-missing", 'no trust anchor for issuer "O=Holdfast Test, CN=Root B"'),
])
def test_a_root_that_is_missing_is_told_from_a_ca_that_may_not_issue(p, a, b, root, tmp_path, which, limit, code, words):
    sub = root("Sub", issuer=b)
    lower = root("Server CA", issuer=sub)
    certs = [changed(ca.cert, issuer, limit) if name == which else ca.cert
             for name, ca, issuer in (("Server CA", lower, sub), ("Sub", sub, b), ("Root B", b, b))]
    net_pki.write_pem(b.file, certs[2])
    p.add(a.file, *([b.file] if which else []))
    cross = root("Root B", issuer=root("Root C"), key=b.key)  # the same CA, and no step further
    chain = [leaf(lower), *certs[:2], *([] if which else [b.cert, cross.cert])]
    [found] = [x for x in lint(*in_repo(p), *endpoints(tmp_path, ("endpoint", "iot.test", chain)))
               if x["severity"] == "error"]
    assert found["code"] == code and words in found["sentence"]


@pytest.mark.parametrize("permitted, found", [("iot.test", []), ("elsewhere.test", ["endpoint-refused"])])
def test_name_constraints_of_an_intermediate_count_as_on_devices(p, a, b, root, tmp_path, permitted, found):
    inter = root("Server CA", issuer=b)
    constrained = changed(inter.cert, b, x509.NameConstraints([x509.DNSName(permitted)], None))
    asked = endpoints(tmp_path, ("endpoint", "tls://iot.test:8883", [leaf(inter), constrained]))
    p.add(a.file, b.file)
    answer = lint(*in_repo(p), *asked, "--lead", "0")
    assert [f["code"] for f in answer if f["severity"] == "error"] == found
    assert not found or "(its name constraints " in answer[0]["sentence"]


def test_a_root_alone_proves_little(p, a, b, tmp_path):
    p.add(a.file, b.file)
    [found] = lint(*in_repo(p), *endpoints(tmp_path, ("endpoint", "iot.test", [a.cert])))
    assert found["code"] == "endpoint-unchecked" and "alone" in found["sentence"]


def test_endpoints_stop_publishing_too(p, a, b, tmp_path):
    chains = endpoints(tmp_path, ("endpoint", "iot.test", [leaf(b)]))
    assert "endpoint-anchor-missing" in p.refuses(*add_directly(p, *chains, a.file))


def test_outage_7_an_intermediate_of_the_devices_own_chain(p, a, b, root, tmp_path):
    """Chromecast: what a device shows does not renew itself."""
    model = root("Model CA", issuer=root("Maker"), end=NOW + 200 * DAY)
    p.add(a.file, b.file)
    own = endpoints(tmp_path, ("device", "cast", [leaf(model), model.cert]))
    assert errors(*in_repo(p), *own) == ["device-chain-ends"]
    assert errors(*in_repo(p), *own, "--lead", "100") == []
    twin = root("Model CA", issuer=root("Maker"), key=model.key, end=NOW + 20 * DAY)
    served = endpoints(tmp_path, ("endpoint", "cast", [leaf(model), model.cert, twin.cert]))
    assert codes(*in_repo(p), *served, severity="warning").count("chain-ends") == 1
    assert "chain-ends" not in codes(*in_repo(p), *served, "--lead", "100")  # the path needs no twin


@pytest.mark.parametrize("text,words", [
    ("endpoint iot.test\n", "line 1: expected endpoint NAME CHAIN.pem"),
    ("\nserver iot.test x.pem\n", "line 2: expected endpoint NAME CHAIN.pem"),
    ("endpoint iot.test none.pem\n", "none.pem"),
    ("# nothing\n", "names no endpoint"),
    ("endpoint a none.pem\nserver b\n", "none.pem; "),
    ("endpoint a none.pem\nserver b\n", "line 2: expected endpoint NAME CHAIN.pem"),
])
def test_a_list_of_endpoints_that_is_none(p, a, tmp_path, text, words):
    p.add(a.file)
    (tmp_path / "list").write_text(text)
    assert words in ctl.refused("lint", "--set", "roots", *in_repo(p), "--endpoints",
                                tmp_path / "list")


# ---- algorithms -----------------------------------------------------------------------------------

def device(folder, text):
    (folder / "device.txt").write_text(text)
    return ["--device", folder / "device.txt"]


def test_outage_5_a_chain_signed_with_what_devices_lack(p, a, b, tmp_path):
    """Azure: the new chain was signed with SHA-384."""
    p.add(a.file, b.file)
    chains = endpoints(tmp_path, ("endpoint", "hub.test", [leaf_sha384(a)]))
    small = device(tmp_path, "# built without\ndigests sha256\n")
    finding, = [x for x in lint(*in_repo(p), *chains, *small) if x["severity"] == "error"]
    assert finding["code"] == "algorithm-missing" and "needs sha384" in finding["sentence"]
    assert errors(*in_repo(p), *chains, *device(tmp_path, "digests sha256 sha384\n")) == []


@pytest.mark.parametrize("text,lacking", [("keys p384", "p256"), ("keys p256", "rsa"),
                                          ("keys rsa p256\nrsa-bits 1024", "RSA keys")])
def test_roots_that_a_device_cannot_use(p, a, root, tmp_path, text, lacking):
    r = root("Root RSA", key=rsa.generate_private_key(65537, 2048))
    p.add(a.file, r.file)
    found = [x for x in lint(*in_repo(p), *device(tmp_path, text + "\n"))
             if x["code"] == "anchor-unusable"]
    assert any(f"needs {lacking}" in x["sentence"] for x in found)


def test_a_signature_scheme_that_a_device_lacks(p, a, root, tmp_path):
    r = root("Root RSA", key=rsa.generate_private_key(65537, 2048))
    p.add(a.file, r.file)
    chains = endpoints(tmp_path, ("endpoint", "iot.test", [leaf(r, 2048)]))
    assert errors(*in_repo(p), *chains, *device(tmp_path, "signatures ecdsa rsa-pss\n")) == [
        "algorithm-missing"]


@pytest.mark.parametrize("text,words", [("digests md5", '"md5" is no algorithm of that list'),
                                        ("rsa-bits many", "rsa-bits is a number"),
                                        ("curves p256", "a line begins with digests")])
def test_a_device_description_that_is_none(p, a, tmp_path, text, words):
    p.add(a.file)
    sentence = ctl.refused("lint", "--set", "roots", *in_repo(p), *device(tmp_path, f"\n{text}\n"))
    assert ", line 2: " in sentence and words in sentence


def test_no_line_of_a_device_description_is_passed_over(p, a, tmp_path):
    p.add(a.file)
    for text in ("keys p256\n\0\nkeys rsa\n", "keys p256\nrsa-bits 2048\0"):
        sentence = ctl.refused("lint", "--set", "roots", *in_repo(p), *device(tmp_path, text))
        assert sentence.endswith("device.txt, line 2: it holds byte 0x00, which is no plain text")


# ---- metadata -------------------------------------------------------------------------------------

def test_outage_16_what_signs_updates_expires_first(tmp_path, a, b):
    """RAUC: the signature's own date blocked every update."""
    p = ctl.Publisher(tmp_path, "--insecure-no-passphrase", "--expires-targets", "200")
    p.add(a.file, b.file)
    finding, = [x for x in lint(*in_repo(p)) if x["severity"] == "error"]
    assert finding["code"] == "metadata-ends" and finding["sentence"].startswith("targets 2 ")
    soon = ["--next-ceremony", str((NOW + 100 * DAY).date())]
    assert errors(*in_repo(p), *soon) == []
    late = ["--next-ceremony", str((NOW + 600 * DAY).date())]
    assert errors(*in_repo(p), *late) == ["metadata-ends", "metadata-ends"]  # root too


def test_metadata_that_has_expired(p, a, b):
    p.add(a.file, b.file)
    assert errors(*in_repo(p), *on(NOW + 10 * DAY)) == ["metadata-expired"]  # the timestamp


# ---- usage ----------------------------------------------------------------------------------------

def test_wrong_usage(p, a):
    assert "--set is missing" in ctl.refused("lint", *in_repo(p), code=2)
    assert "--repo, or certificate files, is missing" in ctl.refused("lint", "--set", "x", code=2)
    assert "--at wants YYYY-MM-DD" in ctl.refused("lint", "--set", "x", *in_repo(p), "--at", "soon",
                                                  code=2)
    p.add(a.file)
    assert 'no bundle of set "x"' in ctl.refused("lint", "--set", "x", *in_repo(p))


# ---- LINT.md --------------------------------------------------------------------------------------

def lint_md():
    return (ctl.CHECKOUT / "server/publish/lint/LINT.md").read_text()


def test_every_code_is_in_the_table_with_its_weight():
    source = (ctl.CHECKOUT / "server/repository/base/findings.c").read_text()
    known = re.findall(r'= \{"([a-z-]+)", (true|false)(, true)?\}', source)
    codes_known = {code: is_error for code, is_error, _ in known}
    assert len(codes_known) > 25
    final = lint_md().split("are not accepted:")[1].split(". ")[0]
    assert set(re.findall(r"\*\*([a-z-]+)\*\*", final)) == {code for code, _, is_final in known if is_final}
    rows = [row.split(" | ")[0] for row in lint_md().split("\n## ")[0].splitlines()
            if row.startswith("| *")]
    listed = {}
    for row in rows:
        for stars, code in re.findall(r"(\*+)([a-z-]+)\*", row):
            listed[code] = "true" if stars == "**" else "false"
    assert listed == codes_known


def test_every_outage_in_the_table_has_its_test():
    numbers = re.findall(r"^\| (\d+) \|.*`test_outage_(\d+)_…` \|$", lint_md(), re.MULTILINE)
    tested = {re.match(r"test_outage_(\d+)_", name)[1] for name in globals()
              if name.startswith("test_outage_")}
    assert [row for row, test in numbers] == [test for row, test in numbers]
    assert {row for row, _ in numbers} == tested and len(tested) == 10
