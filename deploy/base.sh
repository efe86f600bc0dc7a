#!/bin/sh
# base.sh TAG: a base image of Debian's own packages, where no registry can be reached. Needs root, debootstrap and Docker.
# SUITE and MIRROR say which Debian, and from where. Certificates that this machine trusts are trusted in the image.
set -eu
tag=${1:?usage: base.sh TAG}
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

debootstrap --variant=minbase --include=ca-certificates,python3,python3-venv \
    "${SUITE:-bookworm}" "$root" "${MIRROR:-http://deb.debian.org/debian}" > "$root.log" 2>&1 || { tail "$root.log" >&2; exit 1; }
rm "$root.log"
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
cd "$root"
rm -rf var/cache/apt/* var/lib/apt/lists/* var/log/* usr/share/doc/* usr/share/info/* usr/share/locale/* usr/share/man/*
tar --create . | docker import --change 'CMD ["python3"]' - "$tag"
