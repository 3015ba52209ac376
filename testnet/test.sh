#!/usr/bin/env bash
# The test command of the README: `bash testnet/test.sh`. Installs what it needs, runs every check
# in order, stops at the first failure, and says how long each took.
#
# Needs Rust (through rustup, or a Rust that has the parts listed below) and a C compiler. Where it
# is root and may mount and make network namespaces, it also cuts the power under a file system of
# its own and lets nodes find each other with mDNS; where it may not, it leaves those tests out and
# says so in its last line. So it does with the tests of the Bluetooth driver where there is no
# dbus-daemon, and with those on PostgreSQL where there is no server, if it may not install them.
# With --strict it fails instead. The last stage has devices pay each other by Bluetooth in an
# emulated machine, which it builds of Debian's packages; where that cannot be had it fails and says
# what is missing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

strict=no
case "${1:-}" in
"") ;;
--strict) strict=yes ;;
*)
    echo "usage: bash testnet/test.sh [--strict]" >&2
    exit 2
    ;;
esac

DENY_VERSION=0.20.2
BARE_TARGET=x86_64-unknown-none
DECIDING=(-p hundi-ledger -p hundi-engine -p hundi-journal)

target="${CARGO_TARGET_DIR:-$PWD/target}"
tools="$target/tools/cargo-deny-$DENY_VERSION"
logs="$target/test-logs"
mkdir -p "$logs"

started=$SECONDS
done_stages=()

# stage NAME COMMAND...: runs it, keeps what it printed, and remembers how long it took.
stage() {
    local name=$1 from=$SECONDS
    shift
    echo "== $name: $*"
    if ! "$@" 2>&1 | tee "$logs/$name.log"; then
        echo "== $name: FAILED after $((SECONDS - from)) s"
        echo "hundi: FAILED at $name after $((SECONDS - started)) s (log: $logs/$name.log)"
        exit 1
    fi
    done_stages+=("$(printf '%-8s %5d s' "$name" "$((SECONDS - from))")")
    echo "== $name: ok in $((SECONDS - from)) s"
}

# What the compiler's own installer brings: lints, formatting, and a target without std.
rust_parts() {
    if command -v rustup >/dev/null; then
        local part
        for part in clippy rustfmt; do
            cargo "${part/rustfmt/fmt}" --version >/dev/null 2>&1 ||
                rustup component add "$part" || return 1
        done
        [ -d "$(rustc --print target-libdir --target "$BARE_TARGET")" ] ||
            rustup target add "$BARE_TARGET"
    elif ! [ -d "$(rustc --print target-libdir --target "$BARE_TARGET")" ]; then
        echo "this Rust lacks the target $BARE_TARGET, and there is no rustup to add it" >&2
        return 1
    fi
}

# What the power-cut and mDNS tests run as root: ext4 tools, mount, network namespaces; and a bus
# for the Bluetooth driver.
system_parts() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 0
    local missing=()
    command -v mkfs.ext4 >/dev/null || missing+=(e2fsprogs)
    command -v mount >/dev/null || missing+=(mount)
    command -v ip >/dev/null || missing+=(iproute2)
    command -v dbus-daemon >/dev/null || missing+=(dbus-daemon)
    command -v python3 >/dev/null || missing+=(python3)
    command -v cc >/dev/null || missing+=(build-essential)
    python3 -m pip --version >/dev/null 2>&1 || missing+=(python3-pip)
    command -v strip >/dev/null || missing+=(binutils)
    has_postgres || missing+=(postgresql-common)
    [ ${#missing[@]} = 0 ] && return 0
    apt-get update -q && apt_install "${missing[@]}" || return 1
    has_postgres || {
        # The tests make clusters of their own: the package is to make none and start nothing.
        echo "create_main_cluster = false" >>/etc/postgresql-common/createcluster.conf
        apt_install postgresql
    }
}

apt_install() {
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"
}

# Whether there is a PostgreSQL server, where testnet/src/postgres.rs looks for one.
has_postgres() {
    local bin dirs=("$(pg_config --bindir 2>/dev/null)" /usr/lib/postgresql/*/bin)
    [ -z "${HUNDI_POSTGRES_BIN:-}" ] || dirs=("$HUNDI_POSTGRES_BIN")
    for bin in "${dirs[@]}"; do
        [ -x "$bin/initdb" ] && [ -x "$bin/postgres" ] && return 0
    done
    return 1
}

# cargo-deny, unoptimised: it compiles in a third of the time and runs for seconds.
deny_part() {
    [ -x "$tools/bin/cargo-deny" ] && return 0
    CARGO_PROFILE_DEV_DEBUG=0 CARGO_TARGET_DIR="$target/tools/build" cargo install --locked --debug \
        --no-default-features --root "$tools" --version "$DENY_VERSION" cargo-deny
    rm -rf "$target/tools/build"
}

install_parts() {
    system_parts && rust_parts && deny_part
}

# Whether a file system of our own can be mounted here, as the power-cut tests do.
can_mount() {
    local probe status=1
    [ "$(id -u)" = 0 ] || return 1
    probe=$(mktemp -d)
    if truncate -s 4M "$probe/image" && mkfs.ext4 -q -F "$probe/image" &&
        mkdir "$probe/mounted" && mount -o loop "$probe/image" "$probe/mounted"; then
        umount "$probe/mounted" && status=0
    fi
    rm -rf "$probe"
    return $status
}

# Whether two hosts of our own can be made here, as the mDNS tests do.
can_make_hosts() {
    [ "$(id -u)" = 0 ] || return 1
    local name="hundi-probe-$$"
    ip netns add "$name" && ip netns delete "$name"
}

# Which tests cannot run here, as arguments for the test binaries.
left_out=()
probe_machine() {
    if ! can_mount >/dev/null 2>&1; then
        [ $strict = no ] || {
            echo "cannot mount a file system here (root and loop devices are needed)" >&2
            return 1
        }
        left_out+=(--skip power_cut::)
        echo "leaving out the power-cut tests: they need root and loop devices"
    fi
    if ! can_make_hosts >/dev/null 2>&1; then
        [ $strict = no ] || {
            echo "cannot make network namespaces here (root is needed)" >&2
            return 1
        }
        left_out+=(--skip mdns::)
        echo "leaving out the mDNS tests: they need root and network namespaces"
    fi
    if ! command -v dbus-daemon >/dev/null; then
        [ $strict = no ] || {
            echo "no dbus-daemon here (package dbus-daemon)" >&2
            return 1
        }
        left_out+=(--skip stand_in::)
        echo "leaving out tests of the Bluetooth driver: they need dbus-daemon"
    fi
    if ! has_postgres; then
        [ $strict = no ] || {
            echo "no PostgreSQL server here (package postgresql)" >&2
            return 1
        }
        left_out+=(--skip postgres::)
        echo "leaving out the tests on PostgreSQL: they need a server"
    fi
}

demo() {
    "$target/debug/hundi-testnet" demo --json
}

# By Bluetooth, with a real daemon; all scenarios: `hundi-testnet ble`. Before it what of the foreign
# central needs no radio: that it reads and writes the vectors.
ble() {
    bash testnet/ble/guest.sh foreign-test &&
        "$target/debug/hundi-testnet" ble --json --payments 2 \
            pay-gatt pay-l2cap refusal strangers-sync foreign-gatt bank-settles
}

stage install install_parts
stage fmt cargo fmt --all --check
stage deny "$tools/bin/cargo-deny" --log-level error check bans licenses sources
stage no_std cargo check "${DECIDING[@]}" --target "$BARE_TARGET"
stage clippy cargo clippy --workspace --all-targets -- -D warnings
RUSTDOCFLAGS="-D warnings" stage doc cargo doc --workspace --no-deps
stage build cargo build --workspace --all-targets
probe_machine
stage test cargo test --workspace --no-fail-fast -- "${left_out[@]}"
stage demo demo
stage ble ble

passed=$(awk '/^test result: ok/ { sum += $4 } END { print sum + 0 }' "$logs/test.log")
echo
printf '%s\n' "${done_stages[@]}"
echo "hundi: all ${#done_stages[@]} stages ok, $passed tests passed${left_out:+ (without ${left_out[*]//--skip/})}, in $((SECONDS - started)) s"
