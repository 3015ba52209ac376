#!/bin/sh
# Fuzzes one target for a number of seconds: run.sh TARGET SECONDS [libFuzzer options]
# Needs stable Rust and a C++ compiler. What it finds is kept in target/fuzz/TARGET; a failing input
# is written to target/fuzz/TARGET-failures, and the exit status is not 0.
set -eu
if [ $# -lt 2 ]; then
    echo "usage: $0 TARGET SECONDS [libFuzzer options]" >&2
    exit 2
fi
target=$1
seconds=$2
shift 2
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
root=$(CDPATH= cd -- "$here/../.." && pwd)
built=${CARGO_TARGET_DIR:-$root/target}
found=$built/fuzz/$target
failures=$built/fuzz/$target-failures
mkdir -p "$found" "$failures"

# Words that mutation does not find by itself, where a target has a list of them.
if [ -f "$here/$target.dict" ]; then
    set -- -dict="$here/$target.dict" "$@"
fi

# Without these flags libFuzzer is blind. The wrapper gives them to the crates of the workspace
# alone: what they stand on, build scripts and macros are compiled as always, and only once.
export HUNDI_FUZZ_FLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1"
cd "$root"
RUSTC_WORKSPACE_WRAPPER=$here/sancov.sh cargo build --quiet --package hundi-fuzz --bin fuzz \
    --features libfuzzer --target-dir "$built"

HUNDI_FUZZ_TARGET=$target exec "$built/debug/fuzz" -max_total_time="$seconds" -timeout=20 \
    -rss_limit_mb=2048 -max_len=4096 -print_final_stats=1 -artifact_prefix="$failures/" "$@" \
    "$found" "$here/corpus/$target"
