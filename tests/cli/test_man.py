"""deploy/man: pages made of --help, without a fault, and with all that --help says in them."""
import re
import shutil
import subprocess

import pytest

import ctl

MAKE = ctl.CHECKOUT / "deploy" / "man" / "make-man.sh"
PAGES = {"holdfast": 1, "holdfastctl": 1, "holdfastd": 8, "holdfast-admin": 1, "holdfast-signer": 8}


def run(*command, **how):
    done = subprocess.run(command, capture_output=True, text=True, timeout=ctl.TIMEOUT_S, **how)
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


def help_of(program, *command):
    return run(ctl.BIN / program, *command, "--help")


def commands(program):
    text = help_of(program)
    if "\nCommands:\n" not in text:
        return []
    listed = text.split("\nCommands:\n")[1].split("\n\n")[0]
    return [re.match(r"  (\S+(?: \S+)?)  ", line)[1] for line in listed.splitlines()]


def squeeze(text):
    return " ".join(text.split())


@pytest.fixture(scope="module", params=PAGES)
def page(request, tmp_path_factory):
    program = request.param
    file = tmp_path_factory.mktemp("man") / f"{program}.{PAGES[program]}"
    file.write_text(run(MAKE, ctl.BIN / program, str(PAGES[program]), "1.2.3"))
    return program, file


def groff(file, *options):
    """Read by the formatter that `man` uses, with every warning that it knows."""
    if shutil.which("groff") is None:
        pytest.skip("groff is not installed (Debian: groff-base)")
    return run("groff", "-man", "-Tutf8", "-ww", "-rHY=0", "-P-cbou", *options, file)


def rendered(file):
    """One long line a paragraph, so that nothing is broken within it."""
    return groff(file, "-rLL=2000n").replace("‐", "-")


def test_the_formatter_finds_no_fault(page):
    _, file = page
    assert groff(file, "-z") == ""
    groff(file, "-rLL=72n", "-z")  # nor on a narrower terminal


def test_it_is_plain_ascii(page):
    page[1].read_text("ascii")


def test_its_name_is_found_by_apropos(page):
    program, file = page
    head = file.read_text().splitlines()
    assert head[0] == f'.TH {program.upper()} {PAGES[program]} "" "Holdfast 1.2.3" "Holdfast"'
    assert head[1] == ".SH NAME" and re.fullmatch(rf"{program} \\- [a-z].*[^.]", head[2])
    if shutil.which("lexgrog"):
        assert f'"{program} - ' in run("lexgrog", file)


def test_every_line_of_every_help_is_in_it(page):
    program, file = page
    found = f" {squeeze(rendered(file))} "
    for command in [[], *(c.split() for c in commands(program))]:
        for block in help_of(program, *command).split("\n\n"):
            for line in block.splitlines():
                # Headings are written in capitals there, and these are said once.
                line = re.sub(r"^(Usage|Exit code): |^(\w+|From nothing .*):$", "", line)
                if line.startswith("0 success, 1 refused or failed, 2 usage error"):
                    continue
                assert f" {squeeze(line)} " in found or not line.strip()


def test_every_command_has_its_part_with_all_its_options(page):
    program, file = page
    text = file.read_text()
    parts = dict(part.split("\n", 1) for part in text.split("\n.SS ")[1:])
    assert [p.replace("\\-", "-") for p in parts] == commands(program)
    for name, part in [("", text.split("\n.SS ")[0]), *parts.items()]:
        shown = re.split(r"\n(?:Examples|From )", help_of(program, *name.replace("\\-", "-").split()))[0]
        options = re.findall(r"^  (?:    )?(?:-\w, )?(--[a-z-]+)", shown, re.MULTILINE)
        assert options or name == ""
        rows = re.findall(r"^\.TP\n\.B .*?(--[a-z-]+)", part.replace("\\-", "-"), re.MULTILINE)
        if "Options:" in shown:
            assert rows == options, name


def test_examples_are_shown_as_they_are_typed(page):
    program, file = page
    lines = [line.strip() for line in groff(file, "-rLL=200n").splitlines()]
    for command in [[], *(c.split() for c in commands(program))]:
        text = help_of(program, *command)
        for examples in re.findall(r"\n(?:Examples|From nothing [^\n]*):\n(.*?)\n\n", text, re.DOTALL):
            for line in examples.splitlines():
                assert line.strip() in lines


def test_a_wrong_use_of_the_script_makes_no_page():
    for args in ([], ["holdfast", "1"], ["/nonexistent", "1", "1.2.3"]):
        done = subprocess.run([MAKE, *args], capture_output=True, text=True)
        assert done.returncode != 0 and done.stdout == ""
