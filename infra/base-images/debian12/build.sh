#!/bin/bash
# Debian 12 as one layer: a tar on standard output, built by mmdebstrap as an ordinary user
# with a subordinate id range (rootless, in its own user namespace).
# The tar has no device nodes, no package lists, nothing of this host (name, resolver, proxy,
# credentials); the same archive state gives the same bytes.
# Standard error: `@PERCENT TEXT` lines are progress, everything else is log.
# SIGTERM ends it and removes what it made; after SIGKILL the next run removes it.
set -euo pipefail
export LC_ALL=C LANG=C
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export SOURCE_DATE_EPOCH=1735689600 # 2025-01-01: no file is newer
umask 022

die() { echo "debian12: $*" >&2; exit 1; }
command -v mmdebstrap >/dev/null || die "mmdebstrap is not installed (apt-get install mmdebstrap)"
[ "$(id -u)" != 0 ] || die "must not run as root"
grep -q "^$(id -un):" /etc/subuid 2>/dev/null ||
  die "the user $(id -un) has no subordinate ids; give it some: sudo usermod --add-subuids 100000-231071 --add-subgids 100000-231071 $(id -un)"

# The scratch directory must be open to the subordinate ids, so it can not lie in the 0700 data
# directory; its name carries our process id so that a later run knows whose it was.
scratch_parent=/var/tmp
[ -w "$scratch_parent" ] || scratch_parent=/tmp
prefix=$scratch_parent/wafer-debian12-$(id -u)
remove_scratch() { # what mmdebstrap left there belongs to subordinate ids
  find "$1" -mindepth 1 -maxdepth 1 ! -user "$(id -u)" -exec mmdebstrap --unshare-helper rm -rf {} + 2>/dev/null || true
  rm -rf "$1" 2>/dev/null || true
}
for old in "$prefix".*; do
  if [ -O "$old" ] && ! kill -0 "${old##*.}" 2>/dev/null; then remove_scratch "$old"; fi
done
scratch=$prefix.$$
mkdir "$scratch"
chmod 1777 "$scratch"
builder=''
# A second signal (mmdebstrap hangs up its group when it fails) must not cut the tidying short.
trap 'trap "" TERM INT HUP; remove_scratch "$scratch"' EXIT
# mmdebstrap tidies up by itself when all of it is asked to end: its first process only waits for the others, and
# leaves signals to them. So the whole group is asked, which is ours alone (where it is not, by hand: that process).
end_builder() {
  trap '' TERM INT HUP
  if [ -n "$builder" ]; then
    kill -TERM -- "-$$" 2>/dev/null || kill -TERM "$builder" 2>/dev/null || true
    wait "$builder" || true
  fi
  exit 143
}
trap end_builder TERM INT HUP

mapfile -t sources < <(bash "$here/../apt-host.sh" sources)
bash "$here/../apt-host.sh" conf >"$scratch/host.conf"

# Host settings hold while building and are taken out again; the empty file stays, so that a
# build sandbox can bind the host's settings over it. passwd gets the function's user, so that
# programs that ask for their name and home find one.
# shellcheck disable=SC2016,SC2054  # $1 is the hook's, the root directory; commas are mmdebstrap's
options=(
  --mode=unshare --variant=apt --format=tar
  --include=ca-certificates,usr-is-merged
  --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr
  --setup-hook="mkdir -p \"\$1/etc/apt/apt.conf.d\" && cp '$scratch/host.conf' \"\$1/etc/apt/apt.conf.d/95host\""
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright'
  --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/info/*'
  --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-include=/usr/share/locale/locale.alias'
  --dpkgopt='path-exclude=/usr/share/lintian/*' --dpkgopt='force-unsafe-io'
  --aptopt='Apt::Install-Recommends "false"'
  --customize-hook=': >"$1/etc/apt/apt.conf.d/95host"; : >"$1/etc/resolv.conf"; echo wafer >"$1/etc/hostname"; printf "127.0.0.1 localhost\n::1 localhost\n" >"$1/etc/hosts"'
  --customize-hook='sed -i -E "s#://[^/@ ]*@#://#" $(find "$1/etc/apt" -name "*.list" -o -name "*.sources")'
  --customize-hook='echo "function:x:1000:1000:function:/tmp:/bin/sh" >>"$1/etc/passwd"; echo "function:x:1000:" >>"$1/etc/group"'
  --customize-hook='mkdir -p "$1/function" "$1/.wafer"'
  --customize-hook='rm -rf "$1"/var/cache/debconf/*-old "$1"/etc/passwd- "$1"/etc/group- "$1"/etc/shadow- "$1"/etc/gshadow- "$1"/var/cache/ldconfig/* "$1"/var/log/apt/* "$1"/var/log/*.log "$1"/run/lock'
  --skip=output/dev
)

# mmdebstrap leaves out /dev altogether then; a sandbox needs the empty directory to mount on.
# A tar header is 512 bytes, and its stream goes on with mmdebstrap's.
dev_entry() {
  mkdir "$scratch/dev"
  tar -C "$scratch" --format=ustar --mode=0755 --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner \
    --no-recursion -c ./dev | head -c 512
}

progress() { # turns mmdebstrap's own words into progress lines, and passes them on
  local line
  while IFS= read -r line; do
    case $line in
      'I: running apt-get update'*) echo "@5 reading package lists" ;;
      'I: downloading packages'*) echo "@20 downloading packages" ;;
      'I: extracting archives'*) echo "@40 extracting" ;;
      'I: installing essential'*) echo "@50 installing" ;;
      'I: installing remaining'*) echo "@70 installing" ;;
      'I: cleaning package lists'*) echo "@85 cleaning" ;;
      'I: creating tarball'*) echo "@90 packing" ;;
      'I: success in'*) echo "@100 done" ;;
    esac
    printf '%s\n' "$line"
  done >&2
}

dev_entry
cd /                       # the caller's directory may be closed to the subordinate ids
export TMPDIR=$scratch HOME=$scratch
mmdebstrap "${options[@]}" bookworm - ${sources[@]+"${sources[@]}"} 2> >(progress) &
builder=$!
wait "$builder"
