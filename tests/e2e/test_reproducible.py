"""The same source gives the same bytes, whatever folder it is built in.

Two copies of the checkout, in folders of different names, with the same SOURCE_DATE_EPOCH. In short the
libraries that all programs share; with HOLDFAST_LONG (`tests/run.sh --long`) everything that is
installed, and Mbed TLS is built in two caches."""
import json
import os
import shutil
import subprocess

import pytest

from kit.installed import BUILD, run
from kit.programs import CHECKOUT, environment

IS_LONG = "HOLDFAST_LONG" in os.environ
EPOCH = "1790000000"
SHORT = ("hf_common", "hf_os", "hf_cli")


def deps_prefixes():
    return run(CHECKOUT / "deploy/install-deps.sh", "--print-prefix").splitlines()


def deps_cache():
    """The one that this build has used."""
    prefix, = [line.split("=", 1)[1] for line in deps_prefixes() if line.startswith("MBEDTLS_PREFIX=")]
    return os.path.dirname(prefix)


def two_copies(folder):
    keep_out = shutil.ignore_patterns("build", ".git", "__pycache__")
    return [shutil.copytree(CHECKOUT, folder / name, ignore=keep_out) for name in ("a", "a-longer-name")]


def new_cache(folder):
    """With sources and without anything built: nothing needs the network."""
    folder.mkdir()
    for part in os.scandir(deps_cache()):
        if part.name.startswith("llhttp-"):
            shutil.copytree(part.path, folder / part.name)
    return folder


def work(folder, *command, **changes):
    """It must succeed; how long it takes is the machine's business, and that of ctest."""
    env = environment(SOURCE_DATE_EPOCH=EPOCH, CCACHE_DISABLE="1", **changes)
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def build(folder, *targets, **changes):
    """Configure and build a release of the copy in `folder`."""
    words = ["--target", *targets] if targets else []
    work(folder, "cmake", "--preset", "release", "-DHOLDFAST_TESTS=OFF", **changes)
    work(folder, "cmake", "--build", "--preset", "release", *words, **changes)
    return folder / "build/release"


def assert_hardened(build_folder):
    """Every file is compiled with the flags that the compiler has, and they take effect."""
    flags, = [line.split("=", 1)[1].split() for line in deps_prefixes() if line.startswith("HARDENING=")]
    assert "-fstack-clash-protection" in flags
    for entry in json.loads((build_folder / "compile_commands.json").read_text()):
        assert [flag for flag in flags if flag not in entry["command"].split()] == []
    symbols = run("nm", build_folder / "common/libhf_common.a")
    assert "__stack_chk_fail" in symbols and "__memcpy_chk" in symbols


def files_below(folder):
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*"))
            if f.is_file() and not f.is_symlink()}


def assert_same(one, other, n_least):
    assert len(one) >= n_least
    assert one.keys() == other.keys()
    assert [name for name in one if one[name] != other[name]] == []


def test_two_folders_give_the_same_libraries(folder):
    if IS_LONG:
        pytest.skip("test_two_folders_give_the_same_release builds more")
    made = []
    for copy in two_copies(folder):
        build_folder = build(copy, *SHORT, HOLDFAST_DEPS=deps_cache())
        archives = [f for f in build_folder.rglob("*.a") if f.name.startswith("libhf_")]
        made.append({f.name: f.read_bytes() for f in archives})
        assert_hardened(build_folder)
        for content in made[-1].values():
            assert str(folder).encode() not in content and deps_cache().encode() not in content
    assert_same(*made, len(SHORT))


def test_two_folders_give_the_same_release(folder):
    if not IS_LONG:
        pytest.skip("it builds everything twice: tests/run.sh --long")
    made = []
    tarball, = [f for f in os.listdir(deps_cache()) if f.endswith(".orig.tar.bz2")]
    for copy in two_copies(folder):
        cache, out = new_cache(folder / f"cache-of-{copy.name}"), folder / f"{copy.name}-out"
        work(copy, "deploy/install-deps.sh", "--tarball", os.path.join(deps_cache(), tarball),
             HOLDFAST_DEPS=str(cache))
        build_folder = build(copy, HOLDFAST_DEPS=str(cache))
        run("cmake", "--install", build_folder, "--prefix", "/usr", DESTDIR=str(out))
        made.append(files_below(out))
        leaks = [file for file, content in made[-1].items() if str(folder).encode() in content]
        assert leaks == []
    assert_same(*made, 50)


def test_installed_programs_name_no_folder_of_the_build():
    """Of this build, if it is a release."""
    if "HOLDFAST_VARIANT:STRING=release" not in (BUILD / "CMakeCache.txt").read_text():
        pytest.skip("sanitizers and debuggers of other builds need the folder")
    for name in ("holdfast", "holdfastctl", "holdfastd"):
        content = (BUILD / "bin" / name).read_bytes()
        assert str(CHECKOUT).encode() not in content and deps_cache().encode() not in content
