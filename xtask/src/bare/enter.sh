# Runs a program in a root, with this machine's /proc, /dev and network:
#
#     unshare --mount sh enter.sh PROCESSOR FOLDER ROOT [GUEST...] -- PROGRAM [ARGUMENT...]
#
# PROCESSOR is amd64, or arm64, for which the namespace has to be of a user of its own. FOLDER is
# where the program begins, GUESTs are folders of this machine that the root has as well. All mounts
# end with the namespace, which ends with the program.
set -eu

if [ "$1" = arm64 ]; then
    # qemu runs what is for arm64, in this namespace alone. The kernel reads the escapes.
    mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
    magic='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
    mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
    printf '%s' ":arm64:M::$magic:$mask:/usr/bin/qemu-aarch64-static:F" \
        > /proc/sys/fs/binfmt_misc/register
fi
folder=$2 root=$3
shift 3
for system in proc dev; do
    mkdir -p "$root/$system"
    mount --rbind "/$system" "$root/$system"
done
while [ "$1" != -- ]; do
    mkdir -p "$root/$1"
    mount --rbind "$1" "$root/$1"
    shift
done
shift
exec chroot "$root" /bin/sh -c 'cd "$0" && exec "$@"' "$folder" "$@"
