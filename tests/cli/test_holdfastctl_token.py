"""holdfastctl with keys in PKCS#11 tokens (SoftHSM2): made, referred to, given one by one, and refused."""
import json
import os
import re
import shutil
import stat

import pytest

import ctl
import json_schema
from softhsm import SoftHsm

OPEN = "--insecure-no-passphrase"


@pytest.fixture
def hsm(tmp_path, monkeypatch):
    return SoftHsm(tmp_path, monkeypatch, labels=("alice", "bob", "online"))


def generate(hsm, name, *options, token="alice"):
    """Make one; returns (full URI, type, key id)."""
    return ctl.ok("key", "generate", "--key", hsm.uri(name, token=token), *options).split()


def listed(uri):
    return json.loads(ctl.ok("key", "inspect", uri, "--json"))["keys"]


def all_keys(hsm):
    done = ctl.run("key", "inspect", f"pkcs11:?module-path={hsm.module}", "--json")
    return [k["key"] for k in json.loads(done.out)["keys"]] if done.code == 0 else []


def digest(draft):
    shown = ctl.run("root", "status", draft).out
    return re.search(r"^  SHA-256 +(\w+)$", shown, re.MULTILINE).group(1)


def sign(draft, *options):
    return ctl.ok("root", "sign", "--draft", draft, *options, "--yes", digest(draft))


# ---- generate -------------------------------------------------------------------------------------

@pytest.mark.parametrize("kind, scheme", [("ed25519", "ed25519"),
                                          ("ecdsa-p256", "ecdsa-sha2-nistp256")])
def test_a_key_is_made_in_a_token(hsm, tmp_path, kind, scheme):
    file, public = tmp_path / "root-1.key.json", tmp_path / "root-1.pub"
    uri, said_kind, key_id = generate(hsm, "root-1", "--type", kind, "--refer", file, "--public", public)
    assert said_kind == kind and uri.startswith("pkcs11:") and "pin" not in uri
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    reference = json.loads(file.read_text())
    json_schema.check(reference, "key.schema.json")
    assert reference["name"] == "alice/root-1"
    assert reference["key"] == json.loads(public.read_text()) and reference["key"]["scheme"] == scheme
    assert f"pin-source={hsm.pin_file}" in reference["uri"] and hsm.pin not in file.read_text()
    report = json.loads(ctl.ok("key", "inspect", "--json", file, public, hsm.uri("root-1")))
    json_schema.check(report, "key-report.schema.json")
    assert [k["kind"] for k in report["keys"]] == ["reference", "public", "token"]
    assert {k["key_id"] for k in report["keys"]} == {key_id}


def test_ed25519_is_what_is_made_unless_another_type_is_asked_for(hsm):
    assert generate(hsm, "root-1")[1] == "ed25519"


def test_inspect_lists_all_that_a_uri_leaves_open(hsm):
    keys = {generate(hsm, name, token=token)[2]
            for name, token in (("a", "alice"), ("b", "alice"), ("c", "bob"))}
    everywhere = f"pkcs11:?module-path={hsm.module}"
    assert {k["key_id"] for k in listed(everywhere)} == keys
    assert len(listed(hsm.uri(token="alice"))) == 2
    text = ctl.ok("key", "inspect", everywhere)
    assert all(f"key id    {key_id}" in text for key_id in keys)
    assert "no token shows a signing key" in ctl.refused("key", "inspect", hsm.uri("d"))


def test_a_reference_is_shown_without_its_token(hsm, tmp_path, monkeypatch):
    file = tmp_path / "a.key.json"
    key_id = generate(hsm, "a", "--refer", file)[2]
    shutil.rmtree(hsm.folder / "tokens")
    text = ctl.ok("key", "inspect", file)
    assert f"key id    {key_id}" in text and "in token  pkcs11:" in text


def test_a_name_is_given_once(hsm, tmp_path):
    generate(hsm, "a")
    before = all_keys(hsm)
    assert "it is not replaced" in ctl.refused("key", "generate", "--key", hsm.uri("a"))
    assert all_keys(hsm) == before


@pytest.mark.parametrize("options, sentence", [
    (["--type", "rsa"], "--type is ed25519 or ecdsa-p256, not rsa"),
    (["--refer", "a.json"], "the name of a key file ends in .key.json"),
    ([OPEN], "a key in a token has a PIN and no passphrase"),
    (["--passphrase-file", "p"], "a key in a token has a PIN and no passphrase")])
def test_what_makes_no_sense_makes_no_key(hsm, options, sentence):
    assert sentence in ctl.refused("key", "generate", "--key", hsm.uri("a"), *options, code=2)
    assert all_keys(hsm) == []


def test_a_name_that_is_taken_on_disk_makes_no_key(hsm, tmp_path):
    taken = tmp_path / "taken.key.json"
    taken.write_text("precious")
    for option in ("--refer", "--public"):
        assert "exists already" in ctl.refused("key", "generate", "--key", hsm.uri("a"), option, taken)
    assert all_keys(hsm) == [] and taken.read_text() == "precious"


@pytest.mark.parametrize("options, sentence", [
    (["--type", "ecdsa-p256"], "keys in files are ed25519; ecdsa-p256 is for keys in tokens"),
    (["--refer", "b.key.json"], "--refer is for keys in tokens")])
def test_a_file_has_an_ed25519_key_and_needs_no_reference(tmp_path, options, sentence):
    file = tmp_path / "a.key.json"
    assert sentence in ctl.refused("key", "generate", "--key", file, OPEN, *options, code=2)
    assert not file.exists()


# ---- import, change-passphrase ----------------------------------------------------------------------

def test_a_key_that_is_there_is_referred_to_without_a_pin(hsm, tmp_path):
    key_id = generate(hsm, "a")[2]
    file, public = tmp_path / "a.key.json", tmp_path / "a.pub"
    said = ctl.ok("key", "import", "--from", hsm.uri("a", pin_file=False), "--key", file, "--public", public)
    assert said.split()[2] == key_id
    assert json.loads(file.read_text())["key"] == json.loads(public.read_text())
    assert "pin-source" not in file.read_text()


def test_what_cannot_be_referred_to_leaves_nothing(hsm, tmp_path):
    generate(hsm, "a")
    generate(hsm, "a", token="bob")
    file = tmp_path / "a.key.json"
    where = f"?module-path={hsm.module}"
    for uri, sentence, code in (
            (hsm.uri("b"), "the token has no key that fits", 1),
            (f"pkcs11:object=a{where}", "does not say which token", 2),
            (f"pkcs11:token=alice{where}", "does not say which key", 2),
            (f"pkcs11:token=alice;object=a{where}&pin-value={hsm.pin}", "pin-value", 2)):
        said = ctl.refused("key", "import", "--from", uri, "--key", file, code=code)
        assert sentence in said and hsm.pin not in said
        assert not file.exists()


def test_a_public_part_that_cannot_be_written_leaves_no_reference(hsm, tmp_path):
    file, nowhere = tmp_path / "a.key.json", tmp_path / "missing" / "a.pub"
    uri = generate(hsm, "a")[0]
    said = ctl.refused("key", "import", "--from", hsm.uri("a"), "--key", file, "--public", nowhere)
    assert str(nowhere) in said and not file.exists()
    said = ctl.refused("key", "generate", "--key", hsm.uri("b"), "--refer", file, "--public", nowhere)
    assert re.match(r"the key pkcs11:\S*object=b\S* is made, but: ", said) and not file.exists()
    assert len(all_keys(hsm)) == 2 and uri in all_keys(hsm)


def test_a_key_of_a_file_is_not_put_into_a_token(hsm, tmp_path):
    seed = tmp_path / "seed"
    seed.write_bytes(bytes(32))
    seed.chmod(0o600)
    assert "make a new key there" in ctl.refused("key", "import", "--from", seed, "--key", hsm.uri("a"), code=2)


def test_a_pin_is_no_passphrase(hsm, tmp_path):
    file = tmp_path / "a.key.json"
    generate(hsm, "a", "--refer", file)
    before = ctl.tree(tmp_path)
    said = ctl.refused("key", "change-passphrase", file, code=2)
    assert "refers to a key in a token (alice/a)" in said and "the token's own tools" in said
    assert ctl.tree(tmp_path) == before


# ---- init: keys that are there from the first day ----------------------------------------------------

@pytest.fixture
def p(hsm, tmp_path):
    """Root: 2 of a token's Ed25519, a token's ECDSA and a file's; targets and timestamp in tokens."""
    generate(hsm, "root-1")
    generate(hsm, "root-2", "--type", "ecdsa-p256", token="bob")
    generate(hsm, "targets-1", "--type", "ecdsa-p256")
    generate(hsm, "timestamp-1", token="online")
    file = tmp_path / "mine.key.json"
    ctl.ok("key", "generate", "--key", file, OPEN)
    return ctl.Publisher(tmp_path, OPEN, "--root-threshold", "2",
                         "--key", "root=" + hsm.uri("root-1"),
                         "--key", "root=" + hsm.uri("root-2", token="bob"),
                         "--key", f"root={file}",
                         "--key", "targets=" + hsm.uri("targets-1"),
                         "--key", "timestamp=" + hsm.uri("timestamp-1", token="online"))


@pytest.fixture
def root_cert(tmp_path):
    return ctl.Root(tmp_path, "Root A")


def schemes(metadata, role):
    root = metadata["signed"]
    return [root["keys"][k]["scheme"] for k in root["roles"][role]["keyids"]]


def test_a_fleet_begins_with_keys_in_tokens(p, root_cert):
    root = p.metadata("root")
    assert schemes(root, "root") == ["ed25519", "ecdsa-sha2-nistp256", "ed25519"]
    assert root["signed"]["roles"]["root"]["threshold"] == 2
    assert len(root["signatures"]) == 3
    assert sorted(f.name for f in p.offline.glob("*.key.json")) == [
        "root-1.key.json", "root-2.key.json", "root-3.key.json", "targets-1.key.json"]
    for file in p.keys.glob("*/*.key.json"):
        json_schema.check(json.loads(file.read_text()), "key.schema.json")
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    p.add(root_cert.file)
    assert p.newest()["version"] == 1
    assert p.metadata("targets")["signatures"][0]["keyid"] == root["signed"]["roles"]["targets"]["keyids"][0]


def test_a_timer_refreshes_without_a_question(p):
    shutil.rmtree(p.offline)
    assert ctl.ok("refresh", *p.place).startswith("refreshed: timestamp 2")
    assert p.versions()["timestamp"] == 2


def test_a_file_that_is_given_is_sealed_as_those_beside_it(tmp_path):
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("correct horse\n")
    passphrase.chmod(0o600)
    given = tmp_path / "given" / "mine.key.json"
    given.parent.mkdir(mode=0o700)
    key_id = ctl.ok("key", "generate", "--key", given, "--passphrase-file", passphrase).split()[2]
    p = ctl.Publisher(tmp_path, "--passphrase-file", passphrase, "--key", f"root={given}")
    assert p.metadata("root")["signed"]["roles"]["root"]["keyids"] == [key_id]
    taken, beside = (json.loads((p.offline / f"{name}-1.key.json").read_text())
                     for name in ("root", "targets"))
    assert taken["kdf"] == beside["kdf"] != json.loads(given.read_text())["kdf"]


def test_a_file_that_is_given_may_have_a_passphrase_of_its_own(tmp_path):
    files = {}
    for name in ("old", "new", "online"):
        files[name] = tmp_path / name
        files[name].write_text(f"{name} passphrase\n")
        files[name].chmod(0o600)
    given = [tmp_path / "given" / f"{name}.key.json" for name in ("root", "timestamp")]
    given[0].parent.mkdir(mode=0o700)
    for file in given:
        ctl.ok("key", "generate", "--key", file, "--passphrase-file", files["old"])
    args = ("--passphrase-file", files["new"], "--online-passphrase-file", files["online"],
            "--key", f"root={given[0]}", "--key", f"timestamp={given[1]}")
    assert "the passphrase is wrong" in ctl.refused("init", "--repo", tmp_path / "repo", "--keys", tmp_path / "keys",
                                                    *args)
    assert not (tmp_path / "repo").exists() and not (tmp_path / "keys").exists()
    p = ctl.Publisher(tmp_path, *args, "--key-passphrase-file", files["old"])
    ctl.ok("refresh", *p.place, "--online-passphrase-file", files["online"])
    draft = tmp_path / "root.draft"
    ctl.ok("root", "draft", "--from", p.repo, "--draft", draft)
    sign(draft, "--keys", p.keys, "--passphrase-file", files["new"])


def test_where_all_keys_lie_in_tokens_no_passphrase_is_chosen(hsm, tmp_path):
    for name in ("root", "targets", "online"):
        generate(hsm, name)
    p = ctl.Publisher(tmp_path, *(part for role, name in (
        ("root", "root"), ("targets", "targets"), ("snapshot", "online"), ("timestamp", "online"))
        for part in ("--key", f"{role}=" + hsm.uri(name))))
    roles = p.metadata("root")["signed"]["roles"]
    assert roles["snapshot"] == roles["timestamp"]
    assert ctl.ok("refresh", *p.place).startswith("refreshed: timestamp 2")


@pytest.mark.parametrize("keys, sentence, code", [
    (["root=FILE", "root=FILE"], "are the same key", 2),
    (["FILE"], "--key is ROLE=KEY", 2),
    (["unknown=FILE"], "--key is ROLE=KEY", 2),
    (["root="], "--key is ROLE=KEY", 2),
    (["root=missing.key.json"], "missing.key.json", 1),
    (["root=FILE", "root=TOKEN", "--root-keys", "3"], "--key gives 2 root key(s), but 3 are asked for", 2),
    (["root=FILE", "--root-threshold", "2"], "a threshold of 2 cannot be met by 1 root key(s)", 2),
    (["root=TOKEN", "targets=ABSENT"], "absent", 1)])
def test_what_cannot_be_given_leaves_nothing_behind(hsm, tmp_path, keys, sentence, code):
    file = tmp_path / "mine.key.json"
    ctl.ok("key", "generate", "--key", file, OPEN)
    generate(hsm, "root-1")
    names = {"FILE": str(file), "TOKEN": hsm.uri("root-1"), "ABSENT": hsm.uri("absent")}
    args = []
    for word in keys:
        role, _, name = word.partition("=")
        args += [word] if word.startswith("--") or word.isdigit() else [
            "--key", f"{role}={names.get(name, name)}" if "=" in word else names[word]]
    said = ctl.refused("init", "--repo", tmp_path / "repo", "--keys", tmp_path / "keys", OPEN, *args,
                       code=code)
    assert sentence in said
    assert not (tmp_path / "repo").exists() and not (tmp_path / "keys").exists()


# ---- --key: besides those in a folder ---------------------------------------------------------------

def test_a_key_is_given_that_is_in_no_folder(p, hsm, root_cert):
    (p.offline / "targets-1.key.json").unlink()
    (p.online / "timestamp-1.key.json").unlink()
    online = ["--key", hsm.uri("timestamp-1", token="online")]
    assert "holds 0 of the 1 timestamp keys" in p.refuses("refresh", *p.place)
    assert ctl.ok("refresh", *p.place, *online).startswith("refreshed: timestamp 2")
    assert "holds 0 of the 1 targets keys" in p.refuses_to_add(root_cert.file)
    said = p.add("--key", hsm.uri("targets-1"), *online, root_cert.file)
    assert p.newest()["version"] == 1, said


def test_a_given_key_without_a_say_is_refused(p, hsm, root_cert):
    root_1 = ["--key", hsm.uri("root-1")]
    for args in (["refresh", *p.place, *root_1], ["publish", *p.place, *root_1],
                 p.add_args(*root_1, root_cert.file),
                 ["refresh", *p.place, "--key", hsm.uri("targets-1")]):
        assert "is not authorised to sign here, by root 1" in p.refuses(*args, code=2)


def test_a_given_key_is_given_once(p, hsm):
    key = ["--key", hsm.uri("timestamp-1", token="online")]
    assert "are the same key" in p.refuses("refresh", *p.place, *key, *key, code=2)


def test_given_keys_sign_first_and_all_of_them(tmp_path, root_cert):
    """One of two must sign: the one in the folder's first file, or those that are named."""
    p = ctl.Publisher(tmp_path, OPEN, "--targets-keys", "2")
    files = [p.offline / f"targets-{n}.key.json" for n in (1, 2)]
    ids = [ctl.ok("key", "inspect", f).split("key id")[1].split()[0] for f in files]
    for given, signed in ((), ids[:1]), (files[1:], ids[1:]), (files, ids):
        p.add(*[w for f in given for w in ("--key", f)], root_cert.file)
        assert [s["keyid"] for s in p.metadata("targets")["signatures"]] == signed


def test_a_draft_signs_nothing_and_takes_no_key(p, hsm, root_cert, tmp_path):
    said = p.refuses_to_add("--draft", tmp_path / "d", "--key", hsm.uri("targets-1"), root_cert.file, code=2)
    assert said.startswith("--draft signs nothing") and not (tmp_path / "d").exists()


def test_a_key_file_elsewhere_has_its_own_passphrase(tmp_path, root_cert):
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("correct horse\n")
    passphrase.chmod(0o600)
    p = ctl.Publisher(tmp_path)
    mine = tmp_path / "mine" / "targets-2.key.json"
    mine.parent.mkdir(mode=0o700)
    ctl.ok("key", "generate", "--key", mine, "--passphrase-file", passphrase)
    draft = tmp_path / "root.draft"
    ctl.ok("root", "draft", "--from", p.repo, "--draft", draft)
    ctl.ok("root", "add-key", "--draft", draft, "--role", "targets", "--key", mine, "--threshold", "2")
    sign(draft, "--keys", p.keys)
    finish = ["root", "finish", *p.place, draft]
    assert "holds 1 of the 2 targets keys that root 2 asks for" in p.refuses(*finish)
    terminal = ctl.Terminal(*finish, "--key", mine)
    terminal.expect(f"Passphrase for {mine}: ")
    terminal.type("correct horse\n")
    assert terminal.end()[0] == 0
    assert p.versions()["root"] == 2
    p.add("--key", mine, "--passphrase-file", passphrase, root_cert.file)


# ---- ceremonies -----------------------------------------------------------------------------------

@pytest.fixture
def draft(p, tmp_path):
    file = tmp_path / "root.draft"
    ctl.ok("root", "draft", "--from", p.repo, "--draft", file)
    return file


def test_a_draft_is_signed_on_another_machine_with_a_token(p, hsm, draft, tmp_path):
    """Bob has only the draft and a token. The name in the draft is the token's."""
    elsewhere = tmp_path / "elsewhere" / "root.draft"
    elsewhere.parent.mkdir()
    shutil.copy(draft, elsewhere)
    key = hsm.uri("root-2", token="bob", pin_file=False)
    terminal = ctl.Terminal("root", "sign", "--draft", elsewhere, "--key", key, "--yes", digest(draft))
    terminal.expect("bob")
    terminal.expect(": ")
    assert not terminal.is_echoing()
    terminal.type(hsm.pin + "\n")
    code, out = terminal.end()
    assert code == 0 and hsm.pin not in terminal.seen + out
    assert re.search(r"signed   \w{64}  of root 1 and 2  bob/root-2$", out, re.MULTILINE)
    sign(draft, "--key", hsm.uri("root-1"))
    ctl.ok("root", "finish", *p.place, draft, elsewhere)
    assert p.versions()["root"] == 2


def test_who_has_only_a_token_gives_a_root_that_he_trusts(p, hsm, draft, tmp_path):
    """No folder lies beside a token, and so no root.json: --root is what the draft must follow."""
    other_folder = tmp_path / "other"
    other_folder.mkdir()
    made_up = ctl.Publisher(other_folder).repo / "metadata" / "1.root.json"
    mine = tmp_path / "my-root.json"
    before = draft.read_bytes()
    key = ("root", "sign", "--draft", draft, "--key", hsm.uri("root-1"), "--root", mine, "--yes", digest(draft))
    assert f"there is no {mine}" in ctl.refused(*key)
    mine.write_bytes(made_up.read_bytes())
    assert f"a root 1 that is not the one in {mine}" in ctl.refused(*key)
    mine.write_text("{}")
    assert str(mine) in ctl.refused(*key)
    assert draft.read_bytes() == before
    mine.write_bytes((p.repo / "metadata" / "1.root.json").read_bytes())
    ctl.ok(*key)
    sign(draft, "--keys", p.keys, "--root", mine)
    ctl.ok("root", "finish", *p.place, draft)

    later = tmp_path / "later.draft"
    ctl.ok("root", "draft", "--from", p.repo, "--draft", later)
    first = mine.read_bytes()
    sign(later, "--key", hsm.uri("root-1"), "--root", mine)   # root 2 follows from Bob's
    assert mine.read_bytes() == first
    mine.write_bytes(made_up.read_bytes())
    said = ctl.refused("root", "sign", "--draft", later, "--key", hsm.uri("root-2", token="bob"), "--root", mine,
                       "--yes", digest(later))
    assert "does not follow from root 1 in" in said and "do not sign" in said


def test_a_folder_with_references_signs_as_any_other(p, draft):
    assert "signed with 3 key(s)" in sign(draft, "--keys", p.keys)
    ctl.ok("root", "finish", *p.place, draft)


def test_a_given_key_must_be_of_use_to_the_draft(p, hsm, draft):
    before = draft.read_bytes()
    said = ctl.refused("root", "sign", "--draft", draft, "--key", hsm.uri("targets-1"))
    assert "is not authorised to sign this draft of root 2; still to sign: " in said
    said = ctl.refused("root", "sign", "--draft", draft, "--keys", p.keys, "--key", hsm.uri("targets-1"))
    assert "is not authorised to sign this draft of root 2" in said and draft.read_bytes() == before
    sign(draft, "--key", hsm.uri("root-1"))
    before = draft.read_bytes()
    said = ctl.refused("root", "sign", "--draft", draft, "--key", hsm.uri("root-1"))
    assert "has signed this draft already, and a key counts once; still to sign: " in said
    assert draft.read_bytes() == before
    assert "--keys or --key is missing" in ctl.refused("root", "sign", "--draft", draft, code=2)


def rotate(p, draft, *changes, keys=()):
    """`changes`: (verb, role, key)."""
    ctl.ok("root", "draft", "--from", p.repo, "--draft", draft)
    for verb, role, key in changes:
        ctl.ok("root", verb, "--draft", draft, "--role", role, "--key", key)
    sign(draft, "--keys", p.keys, *keys)
    ctl.ok("root", "finish", *p.place, draft)
    draft.unlink()


def test_from_files_to_tokens_and_back(hsm, tmp_path, root_cert):
    p = ctl.Publisher(tmp_path)
    p.add(root_cert.file)
    draft = tmp_path / "root.draft"
    old = {r: p.keys / h / f"{r}-1.key.json" for r, h in (("root", "offline"), ("targets", "offline"),
                                                         ("timestamp", "online"))}
    new = {r: f.with_name(f"{r}-2.key.json") for r, f in old.items()}
    for role, file in new.items():
        generate(hsm, role, "--refer", file, "--type", "ecdsa-p256" if role == "root" else "ed25519")
    there = [c for r in old for c in (("add-key", r, new[r]), ("remove-key", r, old[r]))]
    rotate(p, draft, *there)
    apart = tmp_path / "apart"
    apart.mkdir()
    for file in old.values():
        file.rename(apart / file.name)
    p.add(root_cert.file)
    ctl.ok("refresh", *p.place)
    assert schemes(p.metadata("root"), "root") == ["ecdsa-sha2-nistp256"]
    for file in old.values():
        (apart / file.name).rename(file)
    rotate(p, draft, *[c for r in old for c in (("add-key", r, old[r]), ("remove-key", r, new[r]))])
    for file in new.values():
        file.unlink()
    shutil.rmtree(hsm.folder / "tokens")
    p.add(root_cert.file)
    assert p.versions()["root"] == 3
    p.check("--root", p.repo / "metadata" / "1.root.json")


def test_a_key_in_a_token_gets_a_role_by_its_uri_and_loses_it(p, hsm, draft):
    key_id = generate(hsm, "root-4", token="bob")[2]
    key = hsm.uri("root-4", token="bob", pin_file=False)
    edit = ["--draft", draft, "--role", "root", "--key", key]
    shown = ctl.ok("root", "add-key", *edit)
    assert re.search(rf"\+ .*{key_id}  bob/root-4$", shown, re.MULTILINE), shown
    assert key_id not in ctl.ok("root", "remove-key", *edit)


# ---- refused, and nothing changed -------------------------------------------------------------------

def reference(p, hsm, token="online", role="timestamp", half="online"):
    """The file of a key in `token`, to be changed."""
    return p.keys / half / f"{role}-1.key.json"


def change(file, **members):
    file.write_text(json.dumps({**json.loads(file.read_text()), **members}))


def with_pin_file(file, pin_file):
    uri = json.loads(file.read_text())["uri"]
    change(file, uri=re.sub(r"pin-source=[^&]*", f"pin-source={pin_file}", uri))


def test_a_wrong_pin_signs_nothing(p, hsm):
    file = reference(p, hsm)
    with_pin_file(file, hsm.write_pin("wrong", "000000"))
    said = p.refuses("refresh", *p.place)
    assert said.startswith(f"{file}: ") and "is wrong" in said and "000000" not in said


def test_a_timer_with_a_wrong_pin_does_not_lock_the_token(p, hsm):
    """One try is spent, not one a day; then a person logs in, and the timer goes on."""
    pin = hsm.pin_file.read_text()
    hsm.pin_file.write_text("000000\n")
    assert "is wrong" in p.refuses("refresh", *p.place)
    for _ in range(2):
        said = p.refuses("refresh", *p.place)
        assert "was given a wrong PIN and none that was right since" in said and "was not spent" in said
    hsm.pin_file.write_text(pin)
    assert "log in by hand once" in p.refuses("refresh", *p.place)
    by_hand = hsm.uri("timestamp-1", token="online", pin_file=False)
    terminal = ctl.Terminal("refresh", *p.place, "--key", by_hand)
    terminal.expect("PIN for token online: ")
    terminal.type(hsm.pin + "\n")
    assert terminal.end()[0] == 0
    ctl.ok("refresh", *p.place)


def test_a_pin_file_that_others_may_read_is_refused(p, hsm):
    hsm.pin_file.chmod(0o644)
    assert "chmod 600" in p.refuses("refresh", *p.place)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can read, and give away, what is another's")
def test_a_module_that_another_user_chose_is_not_loaded_by_root(p, hsm):
    """KEYS/online is the timer's user's, who is on the network; root also works in KEYS."""
    file = reference(p, hsm)
    os.chown(file, 65534, 65534)
    said = p.refuses("refresh", *p.place)
    assert said.startswith(f"{file}: ") and "belongs to another user (65534)" in said
    change(file, uri=json.loads(file.read_text())["uri"].split("?")[0])   # any configured module may be asked
    assert "belongs to another user" not in ctl.run("refresh", *p.place).err


def test_a_pin_in_the_uri_is_refused_wherever_it_stands(p, hsm):
    file = reference(p, hsm)
    with_pin = json.loads(file.read_text())["uri"] + f"&pin-value={hsm.pin}"
    key = hsm.uri("timestamp-1", token="online") + f"&pin-value={hsm.pin}"
    said = p.refuses("refresh", *p.place, "--key", key, code=2)
    assert "pin-value" in said and hsm.pin not in said
    change(file, uri=with_pin)
    said = p.refuses("refresh", *p.place)
    assert said.startswith(f"{file}: ") and "pin-value" in said and hsm.pin not in said


def test_a_token_that_is_not_there(p, hsm):
    shutil.rmtree(hsm.folder / "tokens")
    (hsm.folder / "tokens").mkdir()
    assert "no token fits" in p.refuses("refresh", *p.place)
    assert "no token fits" in p.refuses("refresh", *p.place, "--key", hsm.uri("timestamp-1", token="online"))


def test_a_key_that_was_deleted(p, hsm):
    for file in (hsm.folder / "tokens").glob("*/*.object"):
        if file.name != "token.object":
            file.unlink()
    assert "the token has no private key that fits" in p.refuses("refresh", *p.place)


def test_a_name_that_two_tokens_have(p, hsm):
    for _ in range(2):
        hsm.add_token("twin")
    uri = hsm.uri("a", token="twin")
    assert "2 tokens fit" in ctl.refused("key", "generate", "--key", uri)


def test_a_reference_to_another_key_is_found_at_its_first_signature(p, hsm, root_cert):
    """The file claims the key that root lists; the token that it leads to has another."""
    file = reference(p, hsm)
    other = generate(hsm, "other", token="online")[0]
    query = json.loads(file.read_text())["uri"].split("?")[1]
    change(file, uri=f"{other.split('?')[0]}?{query}")
    assert "the key in the token is not the one it was" in p.refuses("refresh", *p.place)
    assert "the key in the token is not the one it was" in p.refuses_to_add(root_cert.file)


def test_a_public_part_that_was_exchanged_gives_no_say(p, hsm):
    file = reference(p, hsm)
    change(file, key=json.loads((p.offline / "root-1.key.json").read_text())["key"])
    assert "holds 0 of the 1 timestamp keys" in p.refuses("refresh", *p.place)


def test_a_public_part_of_another_holder_signs_nothing(p, hsm, draft):
    """Alice's file claims Bob's key, so that Alice's token would sign in Bob's name."""
    alice, bob = (p.offline / f"root-{n}.key.json" for n in (1, 2))
    change(alice, key=json.loads(bob.read_text())["key"])
    bob.unlink()
    before = draft.read_bytes()
    said = ctl.refused("root", "sign", "--draft", draft, "--keys", p.keys, "--yes", digest(draft))
    assert "the key in the token is not the one it was" in said and draft.read_bytes() == before


# ---- key ids of other programs -----------------------------------------------------------------------

def spell_otherwise(public):
    """The same PEM in lines of 40 characters: another text, and so another key id."""
    key = json.loads(public.read_text())
    begin, *lines, end = key["keyval"]["public"].split("\n")[:-1]
    text = "".join(lines)
    key["keyval"]["public"] = "\n".join([begin, *(text[i:i + 40] for i in range(0, len(text), 40)), end])
    public.write_text(json.dumps(key))


def test_a_key_is_the_tokens_whatever_id_another_program_gave_it(hsm, tmp_path, root_cert):
    p = ctl.Publisher(tmp_path)
    draft = tmp_path / "root.draft"
    ctl.ok("root", "draft", "--from", p.repo, "--draft", draft)
    ids = {}
    for role, half in (("root", "offline"), ("targets", "offline"), ("timestamp", "online")):
        public, file = tmp_path / f"{role}.pub", p.keys / half / f"{role}-2.key.json"
        own = generate(hsm, role, "--type", "ecdsa-p256", "--public", public, "--refer", file)[2]
        spell_otherwise(public)
        ids[role] = json.loads(ctl.ok("key", "inspect", public, "--json"))["keys"][0]["key_id"]
        assert ids[role] != own
        ctl.ok("root", "add-key", "--draft", draft, "--role", role, "--key", public)
        old = p.keys / half / f"{role}-1.key.json"
        ctl.ok("root", "remove-key", "--draft", draft, "--role", role, "--key", old)
    assert "signed with 2 key(s)" in sign(draft, "--keys", p.keys)
    ctl.ok("root", "finish", *p.place, draft)
    for role in ids:
        assert ids[role] in [s["keyid"] for s in p.metadata(role)["signatures"]], role

    for half, role in (("offline", "root"), ("offline", "targets"), ("online", "timestamp")):
        (p.keys / half / f"{role}-1.key.json").unlink()
    ctl.ok("refresh", *p.place)
    p.add(root_cert.file)
    assert [s["keyid"] for s in p.metadata("targets")["signatures"]] == [ids["targets"]]
    ctl.ok("root", "draft", "--from", p.repo, "--draft", tmp_path / "next.draft")
    sign(tmp_path / "next.draft", "--key", hsm.uri("root"))
    said = ctl.refused("root", "sign", "--draft", tmp_path / "next.draft", "--key", hsm.uri("root"))
    assert "has signed this draft already" in said
    ctl.ok("root", "finish", *p.place, tmp_path / "next.draft")
    assert p.versions()["root"] == 3
    assert "are the same key" in ctl.refused(
        "refresh", *p.place, "--key", p.keys / "online" / "timestamp-2.key.json",
        "--key", hsm.uri("timestamp"), code=2)

    file = p.offline / "root-2.key.json"   # a reference of that other program
    change(file, key=p.metadata("root")["signed"]["keys"][ids["root"]])
    last = tmp_path / "last.draft"
    ctl.ok("root", "draft", "--from", p.repo, "--draft", last)
    ctl.ok("root", "add-key", "--draft", last, "--role", "root", "--key", p.offline / "targets-2.key.json")
    ctl.ok("root", "remove-key", "--draft", last, "--role", "root", "--key", hsm.uri("root"))
    assert "signed with 2 key(s)" in sign(last, "--keys", p.keys)
