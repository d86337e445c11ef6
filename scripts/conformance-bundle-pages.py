#!/usr/bin/env python3
"""The pages of the archive for other repositories: conformance-bundle-pages.py FOLDER

There they lie beside each other, so each link leads to the page in FOLDER, or is text where the page is not there; and
what only concerns the repository of libphc is left out.
"""

import posixpath
import re
import sys
from pathlib import Path

# Where it is here, and its name there.
PAGES = {
    "conformance/README.md": "README.md",
    "conformance/INDEX.md": "INDEX.md",
    "conformance/contract.json": "contract.json",
    "docs/conformance.md": "conformance.md",
    "docs/settings.md": "settings.md",
    "sink/README.md": "phc-sink.md",
}
# Sections about work on the cases and about libphc itself.
LEFT_OUT = ["First run", "A new case", "For other repositories", "Official SDKs", "The adapter of libphc"]
RENAMED = {
    "docs/conformance.md": "conformance.md",
    "docs/settings.md": "settings.md",
    "target/debug/phc-conformance": "./phc-conformance",
    "conformance/templates": "templates",
    "conformance/vectors": "vectors",
    "conformance/contract.json": "contract.json",
}


def page(source):
    def link(match):
        text, target, anchor = match.groups(default="")
        name = PAGES.get(posixpath.normpath(posixpath.join(posixpath.dirname(source), target)))
        return f"[{text}]({name}{anchor})" if name else text

    text = Path(source).read_text()
    for section in LEFT_OUT:
        text = re.sub(rf"^## {section}\n.*?(?=^## |\Z)", "", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"!?\[([^\]]*)\]\((?!https?:)([^)#\s]+)(#[^)\s]*)?\)", link, text)
    return renamed(text)


def renamed(text):
    for here, there in RENAMED.items():
        text = text.replace(here, there)
    return text


def main():
    folder = Path(sys.argv[1])
    for source, name in PAGES.items():
        (folder / name).write_text(page(source) if name.endswith(".md") else Path(source).read_text())
    for template in folder.glob("templates/*/*"):
        template.write_text(renamed(template.read_text()))


if __name__ == "__main__":
    main()
