#!/bin/bash
# Files out of one npm package as a layer: a tar on standard output.
#   npm-files.sh --package NAME --version VERSION --integrity sha512-BASE64
#                [--file FROM:TO]... [--tree FROM:TO]... [--link PATH:TARGET]...
# FROM is a path inside the package (`.` is all of it), TO and PATH are absolute paths of the
# image. The package is fetched by the npm of this host, so its registry, proxy and CA settings
# hold; what arrives must have exactly the integrity that was asked for. Runs as an ordinary user.
# The tar depends on the package only: sorted, owned by root, times fixed, modes 0755 and 0644.
# Standard error: `@PERCENT TEXT` lines are progress, everything else is log.
set -euo pipefail
export LC_ALL=C
readonly EPOCH=1735689600 # 2025-01-01: the time of every file

die() { echo "npm-files: $*" >&2; exit 1; }

package='' version='' integrity='' files=() trees=() links=()
while [ $# -gt 0 ]; do
  [ $# -ge 2 ] || die "$1 needs a value"
  case $1 in
    --package) package=$2 ;;
    --version) version=$2 ;;
    --integrity) integrity=$2 ;;
    --file) files+=("$2") ;;
    --tree) trees+=("$2") ;;
    --link) links+=("$2") ;;
    *) die "unknown option $1" ;;
  esac
  shift 2
done
for needed in "$package" "$version" "$integrity"; do
  [ -n "$needed" ] || die "--package, --version and --integrity are needed"
done

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir "$tmp/fetch" "$tmp/root"

echo "@5 fetching $package@$version" >&2
(cd "$tmp/fetch" && npm pack --silent --ignore-scripts --pack-destination . "$package@$version" >/dev/null) ||
  die "npm could not fetch $package@$version (try: npm pack $package@$version)"
tarball=("$tmp"/fetch/*.tgz)
[ -f "${tarball[0]}" ] || die "npm left no tarball of $package@$version"

echo "@60 checking $package@$version" >&2
actual=sha512-$(sha512sum "${tarball[0]}" | cut -d' ' -f1 | tr 'a-f' 'A-F' | basenc --base16 -d | base64 -w0)
[ "$actual" = "$integrity" ] || die "$package@$version has integrity $actual, expected $integrity"

echo "@70 unpacking $package@$version" >&2
mkdir "$tmp/package"
tar -xzf "${tarball[0]}" -C "$tmp/package" --strip-components=1 --no-same-owner --no-same-permissions
place() { # place FROM:TO FLAG: copies one file or tree to its place in the image
  local from=$tmp/package/${1%%:*} to=$tmp/root${1#*:}
  [ -e "$from" ] || die "$package@$version has no ${1%%:*}"
  mkdir -p "$(dirname "$to")"
  cp -r "$from" "$to"
}
for one in ${files[@]+"${files[@]}"} ${trees[@]+"${trees[@]}"}; do place "$one"; done
for one in ${links[@]+"${links[@]}"}; do
  mkdir -p "$(dirname "$tmp/root${one%%:*}")"
  ln -s "${one#*:}" "$tmp/root${one%%:*}"
done
chmod -R u=rwX,go=rX "$tmp/root"

echo "@85 packing $package@$version" >&2
tar -C "$tmp/root" --sort=name --format=pax --pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime \
  --mtime="@$EPOCH" --owner=0 --group=0 --numeric-owner -c .
echo "@100 $package@$version" >&2
