#!/usr/bin/env bash
# stalls.sh SEED COMMAND…: runs the command while its processes stand still, one at
# a time, for 100 to 1,000 ms each, as on a machine that is busy with others. Which
# and for how long is chosen by SEED. What passes here does not fail on such a
# machine. Ends with the command's status.
#   PHC_STALL_GAP   milliseconds between two stalls at most, 400 by default
set -uo pipefail
[ $# -ge 2 ] || { sed -n '2,6s/^# \{0,1\}//p' "$0" >&2; exit 2; }
RANDOM=$1 gap=${PHC_STALL_GAP:-400}
shift

# below PID: all descendants, one a line; "leaf" behind those without children.
below() {
    local pid children
    children=$(cat /proc/"$1"/task/*/children 2>/dev/null) || true
    [ -n "${children// /}" ] || { echo "$1 leaf"; return; }
    echo "$1"
    for pid in $children; do below "$pid"; done
}
nap() { local ms=$1; sleep "$((ms / 1000)).$(printf %03d $((ms % 1000)))"; }

# The input of the command is ours; what bash starts in the background has none.
"$@" <&0 &
command=$! victim='' stalls=0
# Nothing may be left standing, whatever ends this script.
trap '[ -z "$victim" ] || kill -CONT "$victim" 2>/dev/null' EXIT
trap 'kill -CONT "$victim" 2>/dev/null; kill "$command" 2>/dev/null; exit 130' INT TERM
while kill -0 "$command" 2>/dev/null; do
    nap $((RANDOM % (gap + 1)))
    mapfile -t tree < <(below "$command")
    leaves=()
    for process in "${tree[@]}"; do [[ $process != *leaf ]] || leaves+=("$process"); done
    # Those that only wait for others are of little interest.
    [ $((RANDOM % 4)) -eq 0 ] || tree=("${leaves[@]}")
    victim=${tree[RANDOM % ${#tree[@]}]% leaf} ms=$((100 + RANDOM % 901))
    kill -STOP "$victim" 2>/dev/null || { victim=''; continue; }
    stalls=$((stalls + 1))
    nap "$ms"
    kill -CONT "$victim" 2>/dev/null
    victim=''
done
wait "$command"
status=$?
echo "stalls.sh: $stalls stalls, the command ended with $status" >&2
exit "$status"
