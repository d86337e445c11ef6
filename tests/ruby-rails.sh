#!/usr/bin/env bash
# ruby-rails.sh SYSTEM: runs the tests of Rails' settings and the example applications for Rails and Sinatra, with the
# extension and without, in a clean system of scripts/dist/chroot.sh (trixie), with the Ruby, the Rails and the Puma of
# that system. The library is the one that ships; it fits every glibc from that of this machine on.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/common.sh
system=${1:?SYSTEM}
folder=$(mktemp -d)
mkfifo "$folder/input"
target/debug/phc-sink --exit-with-stdin --quiet --port-file "$folder/port" <"$folder/input" &
# The sink ends when nothing holds its input open any more.
exec 7>"$folder/input"
trap 'exec 7>&-; wait; rm -rf "$folder"' EXIT
for _ in $(seq 100); do
    [ -s "$folder/port" ] && break
    sleep 0.05
done
PHC_SINK=127.0.0.1:$(cat "$folder/port")
export PHC_SINK PHC_LIBRARY=/phc/target/ship/libphc.so

cat >"$folder/commands" <<'COMMANDS'
set -euo pipefail
apt-get install -y -q ruby ruby-dev ruby-ffi ruby-railties ruby-activejob ruby-sinatra puma gcc libc6-dev make >/tmp/apt.log 2>&1 ||
    { cat /tmp/apt.log; exit 1; }
# The working tree is read-only here, and Rails writes beside an application.
cp -r /phc/bindings /phc/examples /phc/docs /tmp
mkdir -p /tmp/extension/posthog_phc
cd /tmp/extension
ruby /tmp/bindings/ruby/ext/posthog_phc/extconf.rb >make.log && make >>make.log 2>&1 || { cat make.log; exit 1; }
cp posthog_phc_ext.so posthog_phc
cd /tmp
dpkg-query -W -f '${Package} ${Version}\n' ruby ruby-railties ruby-sinatra puma
export RUBYLIB=/tmp/extension:/tmp/bindings/ruby/lib
for switch in 1 0; do
    export POSTHOG_PHC_EXTENSION=$switch
    ruby -w /tmp/bindings/ruby/test/hosts/rails_app.rb
    ruby /tmp/bindings/ruby/test/hosts/examples.rb rails sinatra
done
MT_NO_PLUGINS=1 ruby /tmp/bindings/ruby/test/run.rb context rack facade exceptions
COMMANDS
status=0
scripts/dist/chroot.sh run --bind "$PWD:/phc" --bind "$folder:/commands" "$system" bash /commands/commands || status=$?
exit $status
