"""What `cmake --install` gives, and that it gives nothing when half of it is not built."""
import json
import re
import subprocess
import tempfile
from pathlib import Path

import pytest

from kit import installed
from kit.programs import CHECKOUT, environment

PROGRAMS = ("holdfast", "holdfastctl", "holdfastd", "holdfast-admin", "holdfast-signer")
# What a program says it needs, and what the bill of materials calls that.
SHARED = {"libsodium": "libsodium", "libjansson": "jansson", "libsqlite3": "sqlite3", "libuv": "libuv",
          "libpopt": "popt", "libp11-kit": "p11-kit", "libllhttp": "llhttp", "libssl": "openssl",
          "libcrypto": "openssl", "libinih": "inih", "libcurl": "curl"}
PKG_CONFIG = {"libsodium": "libsodium", "jansson": "jansson", "sqlite3": "sqlite3", "libuv": "libuv",
              "popt": "popt", "p11-kit": "p11-kit-1", "openssl": "openssl",
              "inih": "inih", "curl": "libcurl"}
# The C library and compiler run-time of the system.
SYSTEM = re.compile(r"ld-linux|lib(c|m|dl|pthread|asan|ubsan|tsan|gcc_s)\.so")


@pytest.fixture(scope="module")
def package():
    with tempfile.TemporaryDirectory(prefix="holdfast-e2e-") as folder:
        yield installed.Installed(Path(folder))


@pytest.fixture(scope="module")
def bom(package):
    return json.loads((package.prefix / "share/holdfast/holdfast.cdx.json").read_text())


def names_below(folder):
    return {str(f.relative_to(folder)) for f in folder.rglob("*") if f.is_file()}


# ---- what is installed --------------------------------------------------------------------------------

def test_the_readme_says_what_is_installed(package):
    share, doc = package.prefix / "share/holdfast", package.prefix / "share/doc/holdfast"
    assert names_below(package.prefix / "bin") == set(PROGRAMS)
    assert {f.name for f in share.iterdir()} == {"grafana", "holdfast.cdx.json", "holdfast.conf",
                                                 "prometheus", "roots", "schema", "static", "systemd"}
    runbooks = names_below(CHECKOUT / "deploy/runbooks")
    assert runbooks and names_below(doc / "runbooks") == runbooks
    assert {"README.md", "SECURITY.md", "CHANGELOG.md", "LICENSE"} <= names_below(doc)
    listed = (CHECKOUT / "deploy/README.md").read_text()
    for name in ("bin/", "share/holdfast/roots", "share/holdfast/holdfast.cdx.json",
                 "share/doc/holdfast/runbooks"):
        assert name in listed


def test_nothing_is_installed_that_only_the_build_uses(package):
    files = names_below(package.prefix)
    assert [f for f in files if f.endswith((".py", "embed.cmake", ".sh", ".in"))] == []
    assert {Path(f).suffix for f in names_below(package.prefix / "share/holdfast/roots")} <= {".txt", ".md"}


def test_half_a_build_is_not_installed(folder):
    """The scripts that install, with the build folder somewhere else, where nothing is built."""
    other = folder / "build"
    for script in installed.BUILD.rglob("cmake_install.cmake"):
        copy = other / script.relative_to(installed.BUILD)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(script.read_text().replace(str(installed.BUILD), str(other)))
    done = subprocess.run(["cmake", "--install", other, "--prefix", folder / "prefix"],
                          env=environment(), capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    sentence = " ".join(done.stderr.split())
    assert "is not built, so nothing is installed. First run: cmake --build" in sentence
    assert not (folder / "prefix").exists()


# ---- the bill of materials (CycloneDX 1.5) ------------------------------------------------------------

def test_the_bill_of_materials_is_cyclonedx(bom):
    assert (bom["bomFormat"], bom["specVersion"], bom["version"]) == ("CycloneDX", "1.5", 1)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", bom["metadata"]["timestamp"])
    root = bom["metadata"]["component"]
    assert (root["type"], root["name"]) == ("application", "holdfast")
    refs = [c["bom-ref"] for c in (root, *bom["components"])]
    assert len(set(refs)) == len(refs)
    for component in bom["components"]:
        assert component["type"] == "library"
        assert re.fullmatch(r"[0-9]+(\.[0-9]+)*", component["version"]), component
        assert component["purl"] == f"pkg:generic/{component['name']}@{component['version']}"
        assert [set(part) for part in component["licenses"]] == [{"expression"}]
        assert {p["name"] for p in component["properties"]} == {"holdfast:linkage"}
        for checksum in component.get("hashes", []):
            assert checksum["alg"] == "SHA-256" and re.fullmatch("[0-9a-f]{64}", checksum["content"])
    assert bom["dependencies"] == [{"ref": "holdfast", "dependsOn": refs[1:]}]


def test_the_bill_of_materials_has_all_that_is_linked(package, bom):
    found = {c["name"]: (c["version"], c["properties"][0]["value"]) for c in bom["components"]}
    needed = set()
    for file in (*(package.prefix / "bin").iterdir(), package.lib / "libholdfast.so"):
        text = installed.run("readelf", "-d", file)
        needed |= set(re.findall(r"\(NEEDED\).*\[(.+?)\]", text))
    needed = {n for n in needed if not SYSTEM.match(n)}
    assert {SHARED[n.split(".")[0]] for n in needed} == {n for n, (_, how) in found.items()
                                                        if how == "shared"}
    for name, module in PKG_CONFIG.items():
        assert found[name][0] == installed.run("pkg-config", "--modversion", module).strip()
    header = (package.include / "holdfast-mbedtls/mbedtls/build_info.h").read_text()
    assert f'MBEDTLS_VERSION_STRING         "{found["mbedtls"][0]}"' in header
    assert found["mbedtls"][1] == "static"
    patches = {str(f.relative_to(CHECKOUT)) for f in (CHECKOUT / "deploy").glob("mbedtls-*.patch")}
    notes, = [c["pedigree"]["notes"] for c in bom["components"] if c["name"] == "mbedtls"]
    assert set(notes.removeprefix("changed by: ").split(";")) == patches
