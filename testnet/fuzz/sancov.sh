#!/bin/sh
# Calls the compiler for a crate of the workspace with the coverage flags of run.sh.
compiler=$1
shift
# shellcheck disable=SC2086 # The flags are words.
exec "$compiler" "$@" $HUNDI_FUZZ_FLAGS
