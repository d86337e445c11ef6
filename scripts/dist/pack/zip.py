#!/usr/bin/env python3
"""zip.py ZIP FOLDER [NAME]: packs the files below FOLDER, or below FOLDER/NAME, as they are named seen from FOLDER.

The same files give the same bytes: in order, with the time in SOURCE_DATE_EPOCH, without owners. A zip file has no links,
so what a link leads to is packed in its place.
"""
import os
import pathlib
import sys
import time
import zipfile

PROGRAMS = (".exe", ".dll")
OLDEST = 315532800  # 1980, before which a zip file knows no time


def main():
    out, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    when = time.gmtime(max(int(os.environ["SOURCE_DATE_EPOCH"]), OLDEST))[:6]
    files = sorted(file for file in folder.joinpath(*sys.argv[3:]).rglob("*") if file.is_file())
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for file in files:
            entry = zipfile.ZipInfo(str(file.relative_to(folder)), when)
            entry.create_system = 3
            entry.external_attr = (0o100755 if file.suffix in PROGRAMS else 0o100644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, file.read_bytes())


main()
