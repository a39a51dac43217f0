# shellcheck shell=bash
# For ./run and ./test: one line for each step, with its seconds; what a step prints is shown only when it fails.

steps_log=$(mktemp)

# step NAME COMMAND…
step() {
    local name=$1 begin=$SECONDS
    shift
    if "$@" > "$steps_log" 2>&1; then
        printf '%-28s %3d s\n' "$name" $((SECONDS - begin))
    else
        printf '%-28s failed after %d s\n' "$name" $((SECONDS - begin))
        tail -n 40 "$steps_log"
        return 1
    fi
}

# configure_and_build PRESET TARGET… [-- CMAKE_ARGUMENT…]
configure_and_build() {
    local preset=$1 targets=()
    shift
    while [ $# -gt 0 ] && [ "$1" != -- ]; do targets+=("$1"); shift; done
    [ $# -gt 0 ] && shift
    cmake --preset "$preset" "$@"
    cmake --build --preset "$preset" --target "${targets[@]}"
}
