#!/usr/bin/env bash
# install-cli.sh install BINARY | uninstall: what `make install-cli` and `make uninstall-cli` do. The environment has
# PREFIX, the place in the finished system; DESTDIR, a folder before it, for packages; and perhaps SPEAKER, a phc-cli that
# this machine can run, if BINARY is for another one: man pages and completions are by it.
set -euo pipefail
action=$1
case $PREFIX in
/* | '') ;;
*) echo "install-cli.sh: PREFIX must be an absolute path, and is $PREFIX" >&2; exit 1 ;;
esac
bin=$DESTDIR$PREFIX/bin man=$DESTDIR$PREFIX/share/man/man1
declare -A completions=(
    [bash]=share/bash-completion/completions/phc-cli
    [zsh]=share/zsh/site-functions/_phc-cli
    [fish]=share/fish/vendor_completions.d/phc-cli.fish
)
if [ "$action" = uninstall ]; then
    rm -f "$bin/phc-cli" "$man"/phc-cli{,-*}.1
    for shell in "${!completions[@]}"; do rm -f "$DESTDIR$PREFIX/${completions[$shell]}"; done
    exit
fi
binary=$2 speaker=${SPEAKER:-$2}
mkdir -p "$bin" "$man"
install -m 755 "$binary" "$bin/phc-cli"
"$speaker" man-pages "$man"
for shell in "${!completions[@]}"; do
    place=$DESTDIR$PREFIX/${completions[$shell]}
    mkdir -p "$(dirname "$place")"
    "$speaker" completions "$shell" >"$place"
done
echo "  $bin/phc-cli, with man pages and completions"
