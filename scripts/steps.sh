# shellcheck shell=bash
# For ./run and ./test: one line for each step, with its seconds; what a step prints is shown only when it fails. On a
# terminal the line says meanwhile how far the step is: what was compiled last, and how much there is to compile.

steps_log=$(mktemp)

# step NAME COMMAND…
step() {
    local name=$1 begin=$SECONDS code=0
    shift
    if [ -t 1 ]; then
        "$@" 2>&1 | step_progress "$name" || code=$?
    else
        "$@" > "$steps_log" 2>&1 || code=$?
    fi
    if [ "$code" -eq 0 ]; then
        printf '%-28s %3d s\n' "$name" $((SECONDS - begin))
    else
        printf '%-28s failed after %d s\n' "$name" $((SECONDS - begin))
        tail -n 40 "$steps_log"
        return 1
    fi
}

# Keeps what it reads in the log. Lines that begin with "[done/all]", as ninja's do, are shown, each in place of the last.
step_progress() {
    local name=$1 begin=$SECONDS line='' shown='' room
    : > "$steps_log"
    room=$(($(tput cols 2> /dev/null || echo 80) - 37))
    ((room > 0)) || room=0
    while :; do
        printf '\r\033[K%-28s %3d s  %s' "$name" $((SECONDS - begin)) "${shown:0:room}"
        if IFS= read -r -t 1 line; then
            printf '%s\n' "$line" >> "$steps_log"
            if [[ $line =~ ^\[([0-9]+)/([0-9]+)\]\ (.*) ]]; then
                local done=${BASH_REMATCH[1]} all=${BASH_REMATCH[2]} what=${BASH_REMATCH[3]}
                [[ ! $what =~ ^(Building|Linking)\ CXX\ .*\ (.*)$ ]] || what=${BASH_REMATCH[2]}
                what=${what/CMakeFiles\/*.dir\//}
                shown="$((done * 100 / all)) %  $done of $all  ${what%.o}"
            fi
        else
            [ $? -gt 128 ] || break
            printf '%s' "$line" >> "$steps_log"  # nothing more for a second
        fi
    done
    printf '\r\033[K'
}

# configure_and_build PRESET TARGET… [-- CMAKE_ARGUMENT…]. A tree that does not exist yet is made for a quick first build.
configure_and_build() {
    local preset=$1 targets=()
    shift
    while [ $# -gt 0 ] && [ "$1" != -- ]; do targets+=("$1"); shift; done
    [ $# -gt 0 ] && shift
    [ -e "build/$preset/CMakeCache.txt" ] || set -- -DFOZ_UNITY=ON "$@"
    cmake --preset "$preset" "$@" && NINJA_STATUS='[%f/%t] ' cmake --build --preset "$preset" --target "${targets[@]}"
}
