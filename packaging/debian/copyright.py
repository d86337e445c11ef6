#!/usr/bin/env python3
"""copyright.py LICENSE THIRD-PARTY.txt…: prints the file `copyright` of the Debian packages, in the machine-readable
form (https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/).

THIRD-PARTY.txt has one section for each licence text, headed by the components that it covers. Each becomes a
paragraph of its own, so that its text stays beside its copyright holders. It fails if there is no section.
"""
import re
import sys

HEADER = """Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: libphc
Upstream-Contact: https://github.com/PostHog/libphc/issues
Source: https://github.com/PostHog/libphc
"""
# The first one whose words are in the text names it.
NAMES = [
    ("Apache-2.0-with-LLVM-exception", "LLVM Exceptions to the Apache 2.0 License"),
    ("Apache-2.0", "Apache License"),
    ("Expat", "Permission is hereby granted, free of charge"),
    ("BSL-1.0", "Boost Software License"),
    ("CDLA-Permissive-2.0", "Community Data License Agreement"),
    ("ISC", "Permission to use, copy, modify, and/or distribute"),
    ("Zlib", "This software is provided 'as-is'"),
    ("BSD-3-Clause", "Redistribution and use in source and binary forms"),
]
APACHE = "On Debian systems, the text of the Apache License 2.0 is in /usr/share/common-licenses/Apache-2.0."


def licence_name(text):
    flat = " ".join(text.split())
    return next((name for name, words in NAMES if words in flat), "as-stated")


def indented(text):
    """The text as the value of a field: each line is indented, and an empty one is a dot."""
    lines = [line.rstrip() for line in text.strip("\n").splitlines()]
    return "\n".join(" " + (line.strip("\f") or ".") for line in lines)


def shortened(text):
    """Debian has the text of the Apache License, so only what a component adds to it is repeated."""
    start = re.search(r"^[ \t]*Apache License[ \t]*\n[ \t]*Version 2\.0, January 2004", text, re.M)
    ends = [match.end() for match in re.finditer(
        r"END OF TERMS AND CONDITIONS|limitations under the License\.", text)]
    if not start or not ends:
        return text
    return text[:start.start()] + APACHE + "\n" + text[ends[-1]:]


def holders(text):
    found = []
    for line in text.splitlines():
        line = line.strip(" \t/#*")
        match = re.match(r"(?:Copyright\s*(?:\([Cc]\)|©)?)\s*([\dA-Z].*)|\([Cc]\)\s*(\d.*)", line)
        holder = match and (match[1] or match[2])
        if holder and holder not in found:
            found.append(holder)
    return found


def paragraph(files, texts, authors):
    names, bodies, who = [], [], []
    for text in texts:
        name = licence_name(text)
        if name not in names:
            names.append(name)
        bodies.append(shortened(text).strip("\n"))
        who += [holder for holder in holders(bodies[-1]) if holder not in who]
    lines = "\n           ".join(who or [authors])
    body = "\n\n".join(bodies)
    return f"Files: {files}\nCopyright: {lines}\nLicense: {' and '.join(names)}\n{indented(body)}\n"


def main():
    own = open(sys.argv[1], encoding="utf-8").read()
    # Several files may have the same text, for other components.
    components = {}
    for path in sys.argv[2:]:
        sections = re.split(r"^={80}\n", open(path, encoding="utf-8").read(), flags=re.M)[1:]
        if not sections:
            sys.exit(f"{path} has no section between lines of =; `make docs` writes it")
        for section in sections:
            head, text = section.split("\n\n", 1)
            names = components.setdefault(text.rstrip("\n"), [])
            names += [name for name in " ".join(head.split()).split(", ") if name not in names]
    covered = {}
    for text, names in components.items():
        covered.setdefault(", ".join(names), []).append(text)
    print(HEADER)
    print(paragraph("*", [own], "The libphc authors"))
    for head, texts in covered.items():
        components = [component.strip() for component in head.split(",")]
        files = "\n       ".join("vendor/" + re.sub(r"[^A-Za-z0-9.+_-]+", "-", name) + "/*" for name in components)
        print(paragraph(files, texts, "the authors of " + ", ".join(name.split()[0] for name in components)))


main()
