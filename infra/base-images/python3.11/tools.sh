#!/bin/sh
# Runs as root inside a build sandbox over python3.11. Leaves pip and nothing of apt.
set -eu
apt='apt-get -q -o APT::Sandbox::User=root -o Dpkg::Use-Pty=0'
$apt update
$apt install -y --no-install-recommends python3-pip
python3 -m pip --version
# A layer's times are clamped, which would make byte code that is checked by time worthless: every boot would compile again.
# Files that do not compile (templates, other versions of Python) stay source.
python3 -m compileall -q -f --invalidation-mode unchecked-hash /usr/lib/python3* || true
rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log /var/log/alternatives.log \
  /var/cache/debconf/*-old /var/cache/ldconfig/* /var/lib/dpkg/*-old
