# shellcheck shell=bash
# Sourced by the scripts beside it, and by those of tests/.

# three_times COMMAND…: for what downloads. A network fails now and then.
three_times() {
    local try
    for try in 1 2 3; do
        "$@" && return 0
        [ "$try" -eq 3 ] || { echo "failed, and is tried again in 5 s: $*" >&2; sleep 5; }
    done
    echo "failed three times: $*" >&2
    return 1
}

# start_sink FOLDER [ARGUMENT…]: starts the sink on a free port, with its output
# in FOLDER/sink.log; sets SINK_PORT. It ends with this script.
start_sink() {
    local folder=$1
    shift
    mkfifo "$folder/hold"
    "$SINK" --port-file "$folder/port" --exit-with-stdin "$@" <"$folder/hold" >"$folder/sink.log" 2>&1 &
    SINK_PID=$!
    # The sink lives as long as this end is open, so that nothing outlives a
    # script that is killed.
    exec 9>"$folder/hold"
    for _ in $(seq 600); do
        [ -s "$folder/port" ] && break
        sleep 0.05
    done
    [ -s "$folder/port" ] || { cat "$folder/sink.log" >&2; echo "the sink did not start" >&2; return 1; }
    export SINK_PORT
    SINK_PORT=$(cat "$folder/port")
}

stop_sink() { exec 9>&-; wait "$SINK_PID"; }
