#!/usr/bin/env bash
# sbom.sh FILE TARGET…: writes the bill of materials of a release (CycloneDX 1.5, JSON) for these targets.
# sbom.sh --check FILE: checks one that is there.
#
# target/dist/TARGET.buildinfo says by which compiler each was built (PHC_DIST names another folder). The file is checked against the published schema,
# which the package cyclonedx-python-lib of PyPI has, by Debian's python3-jsonschema; it fails if either is not to be
# had, since a file that no tool can read is worth nothing.
set -euo pipefail
cd "$(dirname "$0")/../.."
. scripts/common.sh
. scripts/dist/targets.sh
[ $# -ge 2 ] || { echo "usage: sbom.sh FILE TARGET…, or sbom.sh --check FILE" >&2; exit 2; }
file=$1
shift
schemas=target/tools/cyclonedx

# Installs the schema of version 1.5 and what it refers to.
install_schemas() {
    local wheel=cyclonedx_python_lib-11.12.0-py3-none-any.whl
    local hash=0e807521a921a5c3cb8ce1153f8a61d29eedfe76a46aac2796b7c6b573391a54
    [ -f "$schemas/bom-1.5.SNAPSHOT.schema.json" ] && return
    echo "sbom: installing the CycloneDX schema of $wheel into $schemas"
    mkdir -p "$schemas"
    printf 'cyclonedx-python-lib==11.12.0 --hash=sha256:%s\n' "$hash" >"$schemas/requirements.txt"
    three_times python3 -m pip --disable-pip-version-check download --quiet --no-deps --only-binary=:all: \
        --require-hashes -r "$schemas/requirements.txt" -d "$schemas"
    python3 - "$schemas" "$wheel" <<'PYTHON'
import pathlib, sys, zipfile
folder = pathlib.Path(sys.argv[1])
with zipfile.ZipFile(folder / sys.argv[2]) as wheel:
    for name in ["spdx", "jsf-0.82", "bom-1.5"]:  # the last one says that all are there
        name += ".SNAPSHOT.schema.json"
        (folder / name).write_bytes(wheel.read("cyclonedx/schema/_res/" + name))
PYTHON
}

# Debian's Python has the package, whatever other Python is first in PATH.
check() {
    /usr/bin/python3 - "$schemas" "$1" <<'PYTHON'
import json, pathlib, sys
try:
    import jsonschema
except ImportError:
    sys.exit("sbom: install python3-jsonschema, to check the bill of materials (apt-get install python3-jsonschema)")
folder = pathlib.Path(sys.argv[1])
read = lambda path: json.loads(path.read_text())
schema = read(folder / "bom-1.5.SNAPSHOT.schema.json")
store = {}
for path in folder.glob("*.schema.json"):
    store["http://cyclonedx.org/schema/" + path.name] = read(path)
resolver = jsonschema.RefResolver(schema["$id"], schema, store=store)
bill = read(pathlib.Path(sys.argv[2]))
errors = list(jsonschema.Draft7Validator(schema, resolver=resolver).iter_errors(bill))
for error in errors[:10]:
    print("sbom: /" + "/".join(map(str, error.absolute_path)) + ": " + error.message[:300], file=sys.stderr)
if errors:
    sys.exit("sbom: %d errors by the schema of CycloneDX 1.5" % len(errors))
names = [part["bom-ref"] for part in bill["components"]]
unknown = {to for edge in bill["dependencies"] for to in edge["dependsOn"]} - set(names)
if len(names) != len(set(names)) or unknown:
    sys.exit("sbom: components twice, or unknown: %s" % sorted(unknown))
print("%s: %d components, valid by the schema of CycloneDX 1.5" % (pathlib.Path(sys.argv[2]).name, len(names)))
PYTHON
}

if [ "$file" = --check ]; then
    install_schemas
    check "$1"
    exit
fi
built=()
for target in "$@"; do
    info=${PHC_DIST:-target/dist}/$target.buildinfo
    [ -f "$info" ] || { echo "sbom: $info is missing; run scripts/dist/build.sh $target" >&2; exit 1; }
    rustc=$(sed -n 's/^rustc: rustc \([^ ]*\).*/\1/p' "$info")
    [ -n "$rustc" ] || { echo "sbom: $info does not say which rustc built it" >&2; exit 1; }
    built+=("$target=$(dist_name "$target" rust)=$rustc")
done
install_schemas
time=$(TZ=UTC git log -1 --date=format-local:%Y-%m-%dT%H:%M:%SZ --format=%cd)
# The steps of `make test` have it already.
[ "${PHC_BUILT:-}" = 1 ] || cargo build -q --locked -p phc-generate
"${CARGO_TARGET_DIR:-target}/debug/phc-generate" sbom "$time" "${built[@]}" >"$file"
check "$file"
