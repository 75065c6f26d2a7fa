"""What gcov counted, as a table: coverage_report.py BUILD FOLDER AT_LEAST [--missed]."""

import json
import pathlib
import subprocess
import sys


def counted_files(build, folder):
    """Path of each source file below FOLDER, and its lines as gcov tells them."""
    data = sorted(pathlib.Path(build).rglob("*.gcda"))
    for path in data:
        if f"/{folder}/" not in str(path):
            continue
        out = subprocess.run(
            ["gcov", "--branch-probabilities", "--json-format", "--stdout", path.name],
            cwd=path.parent, capture_output=True, text=True, check=True)
        for text in out.stdout.splitlines():
            for file in json.loads(text)["files"]:
                name = relative(path.parent / file["file"])
                if name.startswith(f"{folder}/") and name.endswith(".c"):
                    yield name, file["lines"]


def relative(path):
    path, here = path.resolve(), pathlib.Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


# Percent of the branches, by folder: what verifies is tested to the end (tests/coverage.md).
LEAST = {"common/tuf": 98, "common/base": 96.5, "common/json": 97, "common/bundle": 96.5,
         "common/chain": 78, "common/cli": 91}


class Count:
    def __init__(self):
        self.lines = self.lines_run = self.branches = self.branches_taken = 0

    def add(self, lines):
        for line in lines:
            self.lines += 1
            self.lines_run += line["count"] > 0
            self.branches += len(line["branches"])
            self.branches_taken += sum(b["count"] > 0 for b in line["branches"])

    def has_taken(self, least):
        return self.branches > 0 and 100 * self.branches_taken / self.branches >= least

    def row(self, name):
        return (f"{name:<36} {percent(self.lines_run, self.lines):>7} of {self.lines:>5}"
                f" {percent(self.branches_taken, self.branches):>7} of {self.branches:>5}")


def percent(part, whole):
    return f"{100 * part / whole:.1f}%" if whole else "-"


def print_missed(name, lines):
    source = pathlib.Path(name).read_text().splitlines()
    for line in lines:
        never = sum(b["count"] == 0 for b in line["branches"])
        if never or line["count"] == 0:
            print(f"    {name}:{line['line_number']}: {source[line['line_number'] - 1].strip()}")


def main():
    build, folder, at_least = sys.argv[1:4]
    total, folders = Count(), {}
    files = sorted(counted_files(build, folder))
    print(f"{'':<36} {'lines':>16} {'branches':>16}")
    for name, lines in files:
        count = Count()
        count.add(lines)
        total.add(lines)
        folders.setdefault(str(pathlib.Path(name).parent), Count()).add(lines)
        print(count.row(name))
        if "--missed" in sys.argv:
            print_missed(name, lines)
    for name, count in folders.items():
        print(count.row(f"{name}/"))
    print(total.row(f"{folder}/ (all)"))
    checked = [(folder, total, at_least)] + [(n, c, LEAST[n]) for n, c in folders.items() if n in LEAST]
    failed = [f"fewer than {least} % of the branches of {name}/ were taken"
              for name, count, least in checked if not count.has_taken(float(least))]
    if failed:
        sys.exit("\n".join(failed))


main()
