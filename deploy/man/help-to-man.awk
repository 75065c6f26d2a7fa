# Help texts in, a manual page in the man macros out. The first text is the program's; each further
# one begins with a line of a form feed and the name of a command. A text is made of
#
#     Usage: …            Commands:, Options:       Examples:, From nothing to …:    Exit code: …
#     paragraphs          "  term  explanation"     lines as they are typed
#
# with an empty line between them; indented lines of a paragraph are shown as they are, too.

function escape(s) {
    gsub(/\\/, "\\e", s)
    gsub(/--[a-z]/, "\\%&", s) # no hyphen within an option
    gsub(/-/, "\\-", s)
    gsub(/'/, "\\(aq", s)
    gsub(/`/, "\\(ga", s)
    gsub(/~/, "\\(ti", s)
    gsub(/\^/, "\\(ha", s)
    gsub(/…/, "\\[u2026]", s)
    return s ~ /^\./ ? "\\&" s : s
}

# ---- blocks -----------------------------------------------------------------------------------------

function end_block() {
    end_literal()
    block = ""
}

function begin_literal() {
    if (!in_literal)
        print ".RS 4\n.nf"
    in_literal = 1
}

function end_literal() {
    if (in_literal)
        print ".fi\n.RE"
    in_literal = 0
}

# A section of the page, or of a command's part a line in bold.
function heading(text) {
    if (command == "")
        print ".SH " toupper(text)
    else
        print ".PP\n.B " escape(text)
}

# "term  explanation"; one space is enough after "--option=VALUE".
function row(line,    at, term) {
    sub(/^ +/, "", line)
    at = match(line, /  +/)
    if (!at)
        at = match(line, / /)
    term = substr(line, 1, at - 1)
    line = substr(line, at)
    sub(/^ +/, "", line)
    print ".TP\n.B " escape(term) "\n" escape(line)
}

function text(line) {
    end_literal()
    if (block != "text" && !is_headed)
        print ".PP"
    is_headed = 0
    block = "text"
    print escape(line)
}

# The name in bold, as many words as are typed as they are; then what goes with it.
function usage(line,    n) {
    n = length(name) + (command == "" ? 0 : 1 + length(command))
    if (command == "")
        print ".SH SYNOPSIS"
    print ".B " escape(substr(line, 1, n)) "\n" escape(substr(line, n + 2))
    if (command == "")
        print ".SH DESCRIPTION"
    is_headed = command == ""
}

# ---- the page ---------------------------------------------------------------------------------------

# "Serves a repository over HTTP: …" and "Signs bundles (TUF)." as apropos shows them.
function summary(line) {
    sub(/[:.].*/, "", line)
    sub(/ \(.*/, "", line)
    return tolower(substr(line, 1, 1)) substr(line, 2)
}

function begin_page() {
    print ".TH " toupper(name) " " section " \"\" \"Holdfast " version "\" \"Holdfast\""
    print ".SH NAME\n" name " \\- " escape(summary(first))
    usage(synopsis)
    is_begun = 1
}

BEGIN {
    usual = "Exit code: 0 success, 1 refused or failed, 2 usage error"
}

/^\f/ {
    end_block()
    if (command == "")
        print ".SH EACH COMMAND"
    command = substr($0, 2)
    print ".SS " escape(command)
    next
}

/^Usage: / {
    if (command == "")
        synopsis = substr($0, 8)
    else
        usage(substr($0, 8))
    next
}

# What is said once for all commands is not repeated.
$0 == usual && command != "" { next }

/^$/ {
    end_block()
    next
}

!is_begun {
    first = $0
    begin_page()
}

/^(Commands|Options|Examples):$/ || /^From nothing .*:$/ {
    end_block()
    block = /^(Commands|Options)/ ? "rows" : "lines"
    heading(/^From/ ? "Examples" : substr($0, 1, length($0) - 1))
    next
}

/^Exit code: / && command == "" {
    end_block()
    print ".SH EXIT STATUS"
    sub(/^Exit code: /, "")
    block = "text"
    print escape($0)
    next
}

# Two or six spaces; what is wrapped is further to the right.
block != "lines" && /^(  |      )(-., )?--[a-z]/ { block = "rows" }

block == "rows" && /^       / {
    sub(/^ +/, "")
    print escape($0)
    next
}

block == "rows" {
    end_literal()
    row($0)
    next
}

/^  / {
    begin_literal()
    print escape(substr($0, 3))
    next
}

{ text($0) }

END {
    end_block()
    split("holdfast (1) holdfastctl (1) holdfastd (8)", pages, " ")
    others = ""
    for (i = 1; i <= 5; i += 2) {
        if (pages[i] != name)
            others = others (others == "" ? "" : ",\n") ".BR " pages[i] " " pages[i + 1]
    }
    print ".SH SEE ALSO\n" others
}
