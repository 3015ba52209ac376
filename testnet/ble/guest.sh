#!/bin/bash
# A machine with real Bluetooth, where there is none: BlueZ's own daemon over two virtual Low Energy
# controllers that hear each other (btvirt), in a throwaway emulated machine. Its parts are Debian's
# packages, fetched and unpacked into a directory of ours; nothing is installed.
#
#   guest.sh prepare                  build the image if it is not there
#   guest.sh run DIR [SECONDS]        run DIR/run inside, as root, with DIR as /payload; its exit
#                                     status (0-100) is this one's
#   guest.sh driver [SCENARIO]...     build and run the driver's scenarios (transports/ble/examples)
#   guest.sh pack-driver DIR          puts the driver's program into DIR
#   guest.sh foreign [SCENARIO]...    a central on another stack pays the driver (testnet/ble/foreign)
#   guest.sh pack-foreign DIR         puts that central and a payee of the driver into DIR
#   guest.sh foreign-test             what of that central needs no radio
#
# DIR may also hold main.conf (BlueZ's), btvirt.args and bluetoothd.args; and radio: `bumble N` for N
# controllers that hold several connections each (foreign/radio.py), which need what `foreign` lays
# into its payload. Inside, `bluetooth-daemon kill|start` is there for whoever wants to see what a
# lost daemon does.
# Environment: HUNDI_GUEST_DIR, where the image is kept (default: ble-guest in Cargo's target
# directory); HUNDI_GUEST_ACCEL (tcg); HUNDI_GUEST_CPUS (2); HUNDI_GUEST_MB (512);
# HUNDI_GUEST_RADIO (`bumble N`: that radio for `foreign`, and a crowd of N - 1).
# Exit status besides: 3 something is missing, named; 96 the guest never said how it ended; 97 the
# emulator failed; 124 time was up.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
target=${CARGO_TARGET_DIR:-$top/target}
W=${HUNDI_GUEST_DIR:-$target/ble-guest}
L=lib/x86_64-linux-gnu

GUEST_PACKAGES="bluez bluez-test-tools dbus-daemon dbus-bin busybox-static kmod libgcc-s1"
# In this order: without sha3 before jitterentropy before drbg the kernel's own test of the curve
# that pairing uses fails, and with it the controller.
MODULES="sha256_generic sha512_generic sha3_generic ctr ecb cmac ccm jitterentropy_rng drbg hci_vhci
    algif_hash algif_skcipher"
PROGRAMS="usr/bin/btvirt usr/bin/bluetoothctl usr/bin/btmgmt usr/bin/btmon usr/bin/hciconfig
    usr/bin/dbus-daemon usr/bin/dbus-send usr/libexec/bluetooth/bluetoothd"

lacks() {
    echo "guest.sh: $1 is missing: $2" >&2
    exit 3
}

check_tools() {
    [ "$(uname -m)" = x86_64 ] || lacks "an x86_64 machine" "the guest is one"
    local tool
    for tool in apt-get:apt apt-cache:apt dpkg-deb:dpkg readelf:binutils strip:binutils gzip:gzip tar:tar; do
        command -v "${tool%%:*}" >/dev/null || lacks "${tool%%:*}" "install the package ${tool##*:}"
    done
}

# Fetches packages with all that they depend on, beyond those that a status file says are there.
fetch() { # status-file directory packages...
    # Lists that are missing or old name packages that are nowhere any more.
    download "$@" || { apt-get update -q >>"$W/apt.log" 2>&1 && download "$@"; } ||
        lacks "one of the packages ${*:3}" "see $W/apt.log"
}

download() { # status-file directory packages...
    local status=$1 into=$2
    shift 2
    mkdir -p "$into/partial"
    apt-get -y -q --no-install-recommends -d -o Debug::NoLocking=1 -o APT::Sandbox::User=root \
        -o Dir::State::status="$status" -o Dir::Cache::archives="$into" -o Dir::Cache::pkgcache= \
        -o Dir::Cache::srcpkgcache= install "$@" >>"$W/apt.log" 2>&1
}

# The shared libraries that programs and libraries name.
needed() {
    readelf -d "$@" 2>/dev/null | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | sort -u
}

# A file of an unpacked tree, also where it has a merged /usr or none.
in_tree() { # tree path
    local path
    for path in "$1/$2" "$1/usr/$2" "$1/${2#usr/}"; do
        [ -e "$path" ] && echo "$path" && return
    done
    return 1
}

unpack() {
    local deb
    : >empty.status
    # The emulator runs on this machine, so only what this machine lacks for it.
    fetch /var/lib/dpkg/status "$W/host-packages" qemu-system-x86
    fetch "$W/empty.status" "$W/guest-packages" $GUEST_PACKAGES
    local kernel
    kernel=$(apt-cache depends linux-image-amd64 2>/dev/null | awk '/Depends:/ { print $2; exit }')
    [ -n "$kernel" ] || lacks "the package linux-image-amd64" "run apt-get update"
    mkdir -p kernel-package
    (cd kernel-package && apt-get -q -o APT::Sandbox::User=root download "$kernel" >../apt.log 2>&1) ||
        lacks "the package $kernel" "see $W/apt.log; perhaps run apt-get update"
    for deb in host-packages/*.deb; do dpkg-deb -x "$deb" host; done
    for deb in guest-packages/*.deb; do dpkg-deb -x "$deb" guest; done
    dpkg-deb --fsys-tarfile kernel-package/linux-image*.deb | tar -x -C kernel --wildcards \
        './boot/vmlinuz*' './lib/modules/*/modules.*' './lib/modules/*/kernel/crypto/*' \
        './lib/modules/*/kernel/lib/*' './lib/modules/*/kernel/arch/x86/crypto/*' \
        './lib/modules/*/kernel/net/bluetooth/*' './lib/modules/*/kernel/net/rfkill/*' \
        './lib/modules/*/kernel/drivers/bluetooth/hci_vhci.ko'
}

add_modules() {
    local version module
    version=$(ls kernel/lib/modules)
    # kmod is all of these programs, by the name that it is called by.
    cp "$(in_tree guest bin/kmod)" kernel/depmod
    cp kernel/depmod kernel/modprobe
    export LD_LIBRARY_PATH=$W/guest/$L:$W/guest/usr/$L
    kernel/depmod -b "$W/kernel" "$version"
    mkdir -p root/modules
    for module in $MODULES; do
        kernel/modprobe -d "$W/kernel" -S "$version" --show-depends "$module"
    done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' >modules
    unset LD_LIBRARY_PATH
    while read -r module; do
        cp "$module" root/modules/
        basename "$module" >>root/modules/order
    done <modules
}

add_programs() {
    local program name busybox
    busybox=$(in_tree guest bin/busybox)
    cp "$busybox" root/bin/busybox
    for name in $("$busybox" --list); do
        [ "$name" = busybox ] || ln -s busybox "root/bin/$name"
    done
    for program in $PROGRAMS; do
        cp "$(in_tree guest "$program")" "root/$program"
    done
    cp -r guest/etc/dbus-1 guest/etc/bluetooth root/etc/
    cp -r guest/usr/share/dbus-1 root/usr/share/
    cp -L "$(in_tree guest lib64/ld-linux-x86-64.so.2)" root/lib64/
    # What the programs need, and what that needs; beyond it what Rust programs and users by name do.
    local todo next found
    todo="libgcc_s.so.1 libm.so.6 libc.so.6 libnss_files.so.2 $(needed root/usr/bin/* root/usr/libexec/bluetooth/*)"
    while [ -n "${todo// /}" ]; do
        next=
        for name in $todo; do
            [ ! -e "root/$L/$name" ] || continue
            found=$(in_tree guest "$L/$name") || continue
            cp -L "$found" "root/$L/$name"
            next="$next $(needed "$found")"
        done
        todo=$(echo $next)
    done
}

prepare() {
    check_tools
    local built
    built=$(sha256sum "$here/guest.sh" "$here/init.sh" | sha256sum)
    [ "$(cat "$W/ready" 2>/dev/null)" != "$built" ] || return 0
    mkdir -p "$W"
    cd "$W"
    rm -rf ready host guest kernel root modules
    mkdir host guest kernel
    mkdir -p root/{bin,proc,sys,dev,run,tmp,etc,lib64,var/lib/bluetooth} "root/$L" \
        root/usr/{bin,share,libexec/bluetooth}
    ln -s /run root/var/run
    printf 'root:x:0:0::/:/bin/sh\nmessagebus:x:100:100::/:/bin/false\n' >root/etc/passwd
    printf 'root:x:0:\nmessagebus:x:100:\nbluetooth:x:101:\nnetdev:x:102:\n' >root/etc/group
    unpack
    add_modules
    add_programs
    install -m 755 "$here/init.sh" root/init
    archive root . | gzip -1 >image.gz
    # The kernel looks for the next archive at a multiple of four.
    truncate -s %512 image.gz
    cp kernel/boot/vmlinuz-* vmlinuz
    echo "$built" >ready
    cd - >/dev/null
}

archive() { # directory what
    (cd "$1" && find "$2" | "$W/root/bin/busybox" cpio -o -H newc 2>/dev/null)
}

run() {
    local payload=$1 seconds=${2:-180} status said cpu=max
    [ -x "$payload/run" ] || { echo "guest.sh: no program $payload/run" >&2; exit 2; }
    prepare
    local D
    D=$(mktemp -d "$W/run.XXXXXX")
    trap "rm -rf '$D'" EXIT
    mkdir "$D/payload"
    cp -rL "$payload"/. "$D/payload/"
    { cat "$W/image.gz"; archive "$D" payload; } >"$D/initrd"
    [ "${HUNDI_GUEST_ACCEL:-tcg}" != kvm ] || cpu=host
    set +e
    LD_LIBRARY_PATH=$W/host/usr/$L:$W/host/$L timeout "$seconds" \
        "$W/host/usr/bin/qemu-system-x86_64" -L "$W/host/usr/share/qemu" \
        -L "$W/host/usr/share/seabios" -M "q35,accel=${HUNDI_GUEST_ACCEL:-tcg}" -cpu "$cpu" \
        -smp "${HUNDI_GUEST_CPUS:-2}" -m "${HUNDI_GUEST_MB:-512}" -nodefaults -no-user-config \
        -display none -no-reboot -serial stdio -device isa-debug-exit,iobase=0xf4,iosize=0x04 \
        -kernel "$W/vmlinuz" -initrd "$D/initrd" \
        -append "console=ttyS0 quiet loglevel=4 panic=-1 random.trust_cpu=on mitigations=off" \
        </dev/null | sed -u 's,\r$,,' | tee "$D/console"
    status=${PIPESTATUS[0]}
    set -e
    [ "$status" != 124 ] || { echo "guest.sh: not done within $seconds s" >&2; exit 124; }
    # Both must agree: the emulator also exits with 1 for reasons of its own.
    said=$(sed -n 's/^GUEST-STATUS \([0-9]*\) .*/\1/p' "$D/console" | tail -1)
    if [ -n "$said" ] && [ "$status" = $((((said + 16) << 1 | 1) & 255)) ]; then
        exit "$said"
    fi
    echo "guest.sh: the guest did not say how it ended (emulator: $status, guest: '$said')" >&2
    [ -z "$said" ] && [ "$status" != 0 ] && exit 97
    exit 96
}

# The foreign central's Python and its packages, for the guest; both are tried on this machine, from
# where they are.
add_python() {
    prepare
    local built name deb version
    built=$(sha256sum "$here/guest.sh" "$here/foreign/requirements.txt" | sha256sum)
    [ "$(cat "$W/python/ready" 2>/dev/null)" != "$built" ] || return 0
    python3 -m pip --version >/dev/null 2>&1 || lacks "pip for python3" "install the package python3-pip"
    fetch "$W/empty.status" "$W/python-packages" python3-minimal libpython3-stdlib
    rm -rf "$W/python" "$W/python-tree"
    mkdir -p "$W/python/lib" "$W/python/wheels" "$W/python/site"
    for deb in "$W"/python-packages/*.deb; do dpkg-deb -x "$deb" "$W/python-tree"; done
    cp -r "$W"/python-tree/usr/lib/python3.* "$W/python/lib/"
    cp "$(echo "$W"/python-tree/usr/bin/python3.*)" "$W/python/python3"
    version=$(guest_python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    python3 -m pip download -q --disable-pip-version-check --require-hashes --no-deps \
        --only-binary=:all: --python-version "$version" --platform manylinux2014_x86_64 \
        --platform manylinux_2_28_x86_64 -d "$W/python/wheels" -r "$here/foreign/requirements.txt" >&2 ||
        lacks "one of the packages in foreign/requirements.txt" "pip has said why"
    for name in "$W"/python/wheels/*.whl; do
        guest_python -m zipfile -e "$name" "$W/python/site"
    done
    rm -r "$W/python/wheels"
    # Of Python's own modules one; others whose libraries are not there cannot be imported.
    for name in $(needed "$W/python/python3" "$W"/python/lib/python3.*/lib-dynload/_ctypes.* \
        $(find "$W/python/site" -name '*.so')); do
        [ -e "$W/root/$L/$name" ] || cp -L "$(in_tree "$W/python-tree" "$L/$name")" "$W/python/lib/"
    done
    # Emulated, compiling takes longer than all the rest.
    cat >"$W/python/python" <<'PYTHON'
#!/bin/sh
export PYTHONHOME=/payload/python PYTHONPATH=/payload/python/site LD_LIBRARY_PATH=/payload/python/lib
exec /payload/python/python3 -B "$@"
PYTHON
    chmod +x "$W/python/python"
    guest_python -m compileall -q --invalidation-mode unchecked-hash "$W/python/lib" "$W/python/site"
    echo "$built" >"$W/python/ready"
}

guest_python() {
    LD_LIBRARY_PATH=$W/python/lib:$W/root/$L PYTHONHOME=$W/python PYTHONPATH=$W/python/site \
        "$W/python/python3" "$@"
}

foreign_test() {
    add_python
    PYTHONDONTWRITEBYTECODE=1 guest_python -m unittest discover -s "$here/foreign"
}

pack_foreign() { # directory
    local into
    into=$(realpath "$1")
    add_python
    cargo build -q --manifest-path "$top/Cargo.toml" --workspace --example payee
    strip -o "$into/payee" "$target/debug/examples/payee"
    cp -r "$W/python" "$into/"
    cp -r "$here/foreign" "$into/foreign"
    cp "$top/docs/vectors/payments.json" "$into/"
}

foreign() {
    rm -rf "$W/foreign"
    mkdir -p "$W/foreign"
    pack_foreign "$W/foreign"
    [ -z "${HUNDI_GUEST_RADIO:-}" ] || echo "$HUNDI_GUEST_RADIO" >"$W/foreign/radio"
    cat >"$W/foreign/run" <<RUN
#!/bin/sh
/payload/python/python /payload/foreign/scenarios.py $* 2>/tmp/foreign.log
status=\$?
[ \$status = 0 ] || tail -300 /tmp/foreign.log /tmp/radio.log /tmp/bluetoothd.log
exit \$status
RUN
    chmod +x "$W/foreign/run"
    run "$W/foreign" "${HUNDI_GUEST_SECONDS:-600}"
}

pack_driver() { # directory
    cargo build -q --manifest-path "$top/Cargo.toml" --workspace --example two_adapters
    strip -o "$1/two_adapters" "$target/debug/examples/two_adapters"
}

driver() {
    check_tools
    mkdir -p "$W/driver"
    pack_driver "$W/driver"
    cat >"$W/driver/run" <<RUN
#!/bin/sh
export HUNDI_DAEMON=bluetooth-daemon HUNDI_PAYMENTS=${HUNDI_PAYMENTS:-5}
/payload/two_adapters $* 2>/tmp/driver.log
status=\$?
[ \$status = 0 ] || tail -300 /tmp/driver.log /tmp/bluetoothd.log
exit \$status
RUN
    chmod +x "$W/driver/run"
    run "$W/driver" "${HUNDI_GUEST_SECONDS:-600}"
}

case ${1:-} in
prepare | run | driver | foreign) "$@" ;;
foreign-test) foreign_test ;;
pack-foreign) pack_foreign "$2" ;;
pack-driver) pack_driver "$2" ;;
*)
    sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0" >&2
    exit 2
    ;;
esac
