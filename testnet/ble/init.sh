#!/bin/sh
# The first process of the guest: bus, controllers, daemon, then /payload/run, then the end. How it
# ended is said twice, on the console and through the emulator's exit status.
export PATH=/bin:/usr/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in $(cat /modules/order); do
    insmod "/modules/$module" || echo "GUEST: $module is not loaded"
done
ip link set lo up
# A host on a raw controller loses frames with the default.
sysctl -q -w net.core.rmem_default=16777216 net.core.rmem_max=16777216

cat >/bin/bluetooth-daemon <<'SCRIPT'
#!/bin/sh
# kill: as if it had crashed. start: in the background; when it falls over by itself it is started
# again, as systems do.
case $1 in
kill) killall -9 bluetoothd ;;
start)
    while :; do
        /usr/libexec/bluetooth/bluetoothd -n -E $(cat /payload/bluetoothd.args 2>/dev/null)
        status=$?
        # Aborted, or a bad access; anything else was wanted.
        [ $status = 134 ] || [ $status = 139 ] || break
        echo "bluetoothd fell over: $status"
        sleep 1
    done >>/tmp/bluetoothd.log 2>&1 &
    ;;
esac
SCRIPT
chmod +x /bin/bluetooth-daemon

# Waits until a command succeeds, at most so many seconds.
await() {
    tries=$(($1 * -10))
    shift
    until "$@" >/dev/null 2>&1 || [ $tries = 0 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
}

mkdir -p /run/dbus
dbus-daemon --system --nopidfile --fork
last=1
case $(cat /payload/radio 2>/dev/null) in
"bumble "*)
    last=$(($(cut -d' ' -f2 /payload/radio) - 1))
    /payload/python/python /payload/foreign/radio.py $((last + 1)) >/tmp/radio.log 2>&1 &
    ;;
*) btvirt $(cat /payload/btvirt.args 2>/dev/null || echo -L -l2) >/tmp/btvirt.log 2>&1 & ;;
esac
await 30 test -e /sys/class/bluetooth/hci$last
# One channel for attributes, BlueZ's own default since 5.67: with more, 5.66 reads an end of file
# without end when both ends open theirs at once, and answers nobody for half a minute.
mkdir -p /etc/bluetooth
cp /payload/main.conf /etc/bluetooth/main.conf 2>/dev/null ||
    printf '[GATT]\nChannels = 1\n' >/etc/bluetooth/main.conf
bluetooth-daemon start
await 10 dbus-send --system --print-reply --dest=org.bluez /org/bluez/hci$last \
    org.freedesktop.DBus.Properties.Get string:org.bluez.Adapter1 string:Address
echo "GUEST-UP $(cut -d' ' -f1 /proc/uptime)"
/payload/run
status=$?
echo "GUEST-STATUS $status $(cut -d' ' -f1 /proc/uptime)"
# The emulator exits with twice this and one: 16 keeps clear of its own statuses.
printf "\\$(printf %o $((status + 16)))" | dd of=/dev/port bs=1 seek=244 count=1 conv=notrunc 2>/dev/null
poweroff -f
