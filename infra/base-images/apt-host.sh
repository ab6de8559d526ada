#!/bin/bash
# What this host knows about reaching Debian, for building base images.
#   apt-host.sh sources   one-line sources of Debian bookworm that the host itself uses; nothing if it has none
#   apt-host.sh conf      apt settings for reaching them (proxies, CA file, validity checks)
#   apt-host.sh hosts     HOST:PORT of every source and proxy, one a line (for an egress policy)
# Reads the host's own apt configuration only; needs no privilege and changes nothing.
# `conf` may carry a proxy's password: it is for a file that no layer keeps, never for a log.
set -euo pipefail
export LC_ALL=C

# uri|suite|component|origin of every index the host has configured.
targets() {
  command -v apt-get >/dev/null || return 0
  # shellcheck disable=SC2016  # the names are apt's, not the shell's
  apt-get indextargets --format '$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(ORIGIN)' 'Created-By: Packages' 2>/dev/null || true
}

# Only Debian's own archive: its suites, its component, and no other origin where apt knows the origin.
# An origin that apt has not fetched yet stays the literal `$(ORIGIN)`.
sources() {
  targets | sort -u | awk -F'|' '
    $1 !~ /^https?:/ || $3 != "main" || $4 !~ /^(Debian|\$\(ORIGIN\)|)$/ { next }
    $2 == "bookworm" && $1 ~ /\/debian\/?$/ { base = 1 }
    $2 ~ /^bookworm(-updates|-security)?$/ && $1 ~ /\/debian(-security)?\/?$/ { lines[++n] = "deb " $1 " " $2 " main" }
    END { if (base) for (i = 1; i <= n; i++) print lines[i] }'
}

conf() {
  command -v apt-config >/dev/null || return 0
  apt-config dump 2>/dev/null | grep -E '^Acquire::(https?::[^ ]*(Proxy|CaInfo|CaPath|Timeout)|Check-(Valid-Until|Date)|Retries|ForceIPv[46])[^ ]* "' || true
}

hosts() {
  { sources; conf | grep -iE '::Proxy[^ ]* ' || true; } |
    grep -oE 'https?://[^/" ]+' | awk -F'://' '{
      port = $1 == "https" ? 443 : 80; host = $2; sub(/^.*@/, "", host)
      if (host ~ /:[0-9]+$/) { port = host; sub(/^.*:/, "", port); sub(/:[0-9]+$/, "", host) }
      print host ":" port }' | sort -u
}

case ${1:-} in
  sources | conf | hosts) "$1" ;;
  *) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2; exit 2 ;;
esac
