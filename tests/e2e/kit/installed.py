"""Holdfast as `cmake --install` leaves it, and programs built against that."""
import os
import re
import shutil
import subprocess

import pytest

from kit.programs import BIN, environment

BUILD = BIN.resolve().parent
WARNINGS = ["-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror"]
# Without -Wshadow: hf_posix_config is a struct and a function, as C has it.
WARNINGS_CXX = ["-std=c++11", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
TIMEOUT_S = 120


def run(*argv, **changes):
    """Standard output of a command that must succeed."""
    done = subprocess.run([os.fspath(a) for a in argv], env=environment(**changes), text=True,
                          capture_output=True, timeout=TIMEOUT_S)
    assert done.returncode == 0, f"{argv}\n{done.stdout}{done.stderr}"
    return done.stdout


def _cached(name):
    """A value of the build's CMake cache."""
    found = re.search(rf"^{name}:[A-Z]+=(.*)$", (BUILD / "CMakeCache.txt").read_text(), re.MULTILINE)
    return found.group(1)


class Installed:
    """Installed under one path and moved to another, as packages are made and devices flashed."""

    def __init__(self, folder):
        if not (BUILD / "cmake_install.cmake").exists():
            pytest.skip(f"{BUILD} is no build folder, so nothing can be installed from it")
        run("cmake", "--install", BUILD, "--prefix", "/opt/holdfast", DESTDIR=str(folder / "stage"))
        self.prefix = folder / "moved"
        (folder / "stage" / "opt" / "holdfast").rename(self.prefix)
        self.lib = self.prefix / _cached("CMAKE_INSTALL_LIBDIR")
        self.include = self.prefix / "include"
        self.examples = self.prefix / "share" / "doc" / "holdfast" / "examples"
        self.compiler = _cached("CMAKE_C_COMPILER")

    def pkg_config(self, *args):
        return run("pkg-config", *args, PKG_CONFIG_PATH=str(self.lib / "pkgconfig")).split()

    def compile(self, program, sources, *flags):
        run(self.compiler, *WARNINGS, "-D_GNU_SOURCE", "-o", program, *sources, *flags)
        return program

    def compile_cxx(self, program, source, *flags):
        """As C++, by the sister of the compiler that built the library: sanitizers want that."""
        compiler = shutil.which(re.sub(r"gcc|cc$", "g++", self.compiler)
                                if "clang" not in self.compiler else self.compiler + "++")
        if compiler is None:
            pytest.skip(f"there is no C++ compiler beside {self.compiler}")
        run(compiler, *WARNINGS_CXX, "-D_GNU_SOURCE", "-o", program, source, *flags)
        return program

    def build_example(self, folder, *options):
        """The example's own CMake project."""
        run("cmake", "-G", "Ninja", "-S", self.examples, "-B", folder,
            f"-DCMAKE_PREFIX_PATH={self.prefix}", f"-DCMAKE_C_COMPILER={self.compiler}", *options)
        run("cmake", "--build", folder)
        return folder / "mqtt_device"

    def environment(self):
        return environment(LD_LIBRARY_PATH=str(self.lib))

    def only_static(self, folder):
        """A folder with the archive alone, as in an image without shared libraries."""
        folder.mkdir()
        shutil.copy(self.lib / "libholdfast.a", folder)
        return folder

    def exported(self):
        """Names that the shared library exports, its versions left out."""
        lines = run("nm", "-D", "--defined-only", self.lib / "libholdfast.so").splitlines()
        symbols = [line.split() for line in lines]
        return {name.split("@")[0] for _, kind, name in symbols if kind != "A"}

    def declared(self, folder):
        """Functions that the public headers declare, as the compiler has understood them."""
        source, list_file = folder / "headers.c", folder / "declared.txt"
        headers = sorted(h.name for h in (self.include / "holdfast").glob("*.h"))
        source.write_text("".join(f"#include <holdfast/{h}>\n" for h in headers
                                  if h != "mbedtls_config.h"))
        run(self.compiler, *WARNINGS, "-fsyntax-only", "-aux-info", list_file, source,
            *self.pkg_config("--cflags", "holdfast"))
        pattern = r"/include/holdfast/[^ ]* \*/ extern [^(]*?(\w+) \("
        return set(re.findall(pattern, list_file.read_text()))
