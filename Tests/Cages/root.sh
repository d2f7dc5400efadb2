#!/bin/sh
# Runs a program in another root: read-only, with this machine's programs and libraries and the directory PLACE at /cage,
# and of /proc and /dev what PARTS names. In a mount namespace of its own.
# Usage: root.sh ROOT PLACE PARTS PROGRAM [ARGUMENT]...
set -e
root=$1 place=$2 parts=$3
shift 3
mount -t tmpfs -o mode=0755 tmpfs "$root"
cd "$root"
for name in bin sbin lib lib64 lib32; do
  if [ -L "/$name" ]; then ln -s "$(readlink "/$name")" "$name"; fi
done
show() { mkdir -p ".$2"; mount --bind "$1" ".$2"; mount -o remount,bind,ro ".$2"; }
show /usr /usr
show /etc /etc
show "$place" /cage
case $parts in *proc*) mkdir proc; mount --rbind /proc proc ;; esac
case $parts in *dev*)
  mkdir dev
  for name in null urandom; do : > "dev/$name"; mount --bind "/dev/$name" "dev/$name"; done
esac
mount -o remount,ro "$root"
exec chroot . "$@"
