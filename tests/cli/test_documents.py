"""Every command line in a document, a unit or an example of --help is one that the program accepts."""
import functools
import json
import re
import shlex
import subprocess

import pytest

import ctl

# How many command lines at least are found for each.
PROGRAMS = {"holdfast": 40, "holdfastctl": 60, "holdfastd": 3, "holdfast-admin": 35, "holdfast-signer": 5}
TEXTS = ["*.md", "*/*.md", "*/*/*.md", "*/*/*/*.md", "deploy/systemd/*", "deploy/*.sh"]


def printed(program, *words):
    return subprocess.run([ctl.BIN / program, *words], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=ctl.TIMEOUT_S, env=ctl.environment())


def commands(program):
    listed = printed(program, "--help").stdout.partition("\nCommands:\n")[2].partition("\n\n")[0]
    return re.findall(r"^  ([a-z-]+(?: [a-z-]+)?)  ", listed, re.MULTILINE)


COMMANDS = {program: commands(program) for program in PROGRAMS}
FIRSTS = {program: {name.split()[0] for name in names} for program, names in COMMANDS.items()}


@functools.cache
def documents():
    """Names and texts."""
    files = {file for pattern in TEXTS for file in ctl.CHECKOUT.glob(pattern)}
    found = [(str(file.relative_to(ctl.CHECKOUT)), file.read_text()) for file in sorted(files)]
    for program, names in COMMANDS.items():
        for words in ["", *names]:
            found.append((f"{program} {words} --help", printed(program, *words.split(), "--help").stdout))
    return found


def pieces(name, text):
    """What is typed: inline code, indented lines, and lines of fenced blocks, each on one line."""
    text = re.sub(r" *\\\n *", " ", text)
    if name.endswith(".md"):
        fenced = re.findall(r"^ *```[^\n]*\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)
        rest = re.sub(r"^ *```.*?^ *```", "", text, flags=re.DOTALL | re.MULTILINE)
        indented = re.findall(r"^    +(\S.*)$", rest, re.MULTILINE)
        return [line for block in fenced for line in block.splitlines()] + indented + [
            " ".join(span.split()) for span in re.findall(r"`([^`]+)`", rest)]
    return re.findall(r"^(?:Exec\w+=|#?  +)(\S.*)$", text, re.MULTILINE)


def commands_in(piece):
    """The words of each command of a shell line, without comment, redirection and what may be left out;
    placeholders stand for anything, also for numbers."""
    piece = re.sub(r"\[[^]]*\]|…|\.\.\.", "", re.sub(r"\d?>.*", "", piece))
    lexer = shlex.shlex(piece, posix=True, punctuation_chars=";|&()")
    lexer.whitespace_split = True
    try:
        tokens = list(lexer)
    except ValueError:  # prose with an apostrophe
        tokens = piece.split()
    words = []
    for token in [*tokens, ";"]:
        if token.strip(";|&()"):
            token = token.replace("--expires-ROLE", "--expires-root").rstrip(".,")
            words.append("2" if re.fullmatch(r"\$?[A-Z]+", token) else token)
            continue
        yield words
        words = []


def lines():
    """Program and arguments of each."""
    for name, text in documents():
        for piece in pieces(name, text):
            for words in commands_in(piece):
                for n, word in enumerate(words[:-1]):
                    program, first = re.sub(r"^\S*bin/", "", word), words[n + 1]
                    if program in PROGRAMS and (first[:1] == "-" or first in FIRSTS[program]):
                        yield name, program, words[n + 1:]


def accepted(program, words):
    # The value of an option that is only mentioned, or one more word; --help looks at neither.
    more = ["x"] if any(word.startswith("-") for word in words) else []
    return printed(program, *words, *more, "--help")


LINES = sorted({(name, program, *words) for name, program, words in lines()})


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_program_accepts_every_line(program):
    where = {tuple(words): name for name, of, *words in LINES if of == program}
    for words, name in where.items():
        done = accepted(program, words)
        assert (done.returncode, done.stderr) == (0, ""), (name, words, done.stderr)
    assert len(where) >= PROGRAMS[program]


def test_a_command_that_is_named_without_its_program_exists():
    n = 0
    for name, text in documents():
        for span in re.findall(r"`([a-z]+[a-z -]* --[^`]+)`", text) if name.endswith(".md") else []:
            words = next(commands_in(" ".join(span.split())))
            programs = [p for p in PROGRAMS if words[0] in FIRSTS[p]]
            if programs:
                n += 1
                assert any(accepted(p, words).returncode == 0 for p in programs), (name, span)
    assert n > 5


def test_a_script_or_preset_in_a_document_exists_and_knows_its_options():
    presets = json.loads((ctl.CHECKOUT / "CMakePresets.json").read_text())
    presets = {preset["name"] for kind in ("configurePresets", "buildPresets") for preset in presets[kind]}
    scripts = {}
    for name, text in documents():
        for piece in pieces(name, text) if name.endswith(".md") else []:
            for preset in re.findall(r"cmake .*?--preset (\S+)", piece):
                assert preset in presets, (name, piece)
            # What follows two spaces is said about the line.
            if found := re.match(r"(?:\S+=\S+ )*(?:\./)?((?:deploy|tests)/\S+\.sh)((?: [^ #]+)*)", piece):
                scripts[found[1], *found[2].split()] = name
    for (script, *words), name in scripts.items():
        done = subprocess.run([ctl.CHECKOUT / script, *words, "--help"], capture_output=True, text=True,
                              timeout=ctl.TIMEOUT_S)
        assert (done.returncode, done.stderr) == (0, ""), (name, script, words, done)
    assert len(scripts) > 15
