#!/bin/bash
# Prepares this machine: system packages, the service user (only when started as root), subordinate
# ids, kernel settings, AppArmor, the cgroup v1 subtree. Idempotent; quick when nothing is to do.
#   bash infra/setup.sh [--run | --test | --bench]     --test: also what only the tests need; --bench: and what only the bench does
# Needs root, or sudo, only for what is missing; without them it prints the exact command.
# Exit code 4: something that the platform can not do without is missing. Changes outside of the
# clone are said on the screen. See infra/README.md for the list.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

with_tests=''
with_bench=''
for argument in "$@"; do
  case $argument in
    --run) ;;
    --test) with_tests=1 ;;
    --bench) with_tests=1 with_bench=1 ;;
    *) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
  esac
done

# --- Node -------------------------------------------------------------------------------------
check_node() {
  local version major minor
  have node || die "$EXIT_SETUP" "Node.js is not installed; Wafer needs version 20.19 or newer, with npm."
  have npm || die "$EXIT_SETUP" "npm is not installed; Wafer needs it beside Node.js."
  version=$(node --version)
  IFS=. read -r major minor _ <<<"${version#v}"
  if [ "$major" -lt 20 ] || { [ "$major" = 20 ] && [ "$minor" -lt 19 ]; }; then
    die "$EXIT_SETUP" "Node.js $version is too old; Wafer needs 20.19 or newer ($(command -v node))."
  fi
}

# --- system packages --------------------------------------------------------------------------
# package:what it brings (a command, or an absolute path)
packages() {
  printf '%s\n' redis-server:redis-server uidmap:newuidmap nftables:nft gcc:gcc make:make \
    libc6-dev:/usr/include/stdio.h libseccomp-dev:/usr/include/seccomp.h \
    linux-libc-dev:/usr/include/linux/landlock.h \
    mmdebstrap:mmdebstrap util-linux:setpriv \
    debian-archive-keyring:/usr/share/keyrings/debian-archive-keyring.gpg
  if [ -n "$with_tests" ]; then printf '%s\n' skopeo:skopeo docker-registry:docker-registry openssl:openssl buildah:buildah \
    podman:podman umoci:umoci python3:python3; fi
  if [ -n "$with_bench" ]; then echo runc:runc; fi
}
missing_packages() {
  local one brings
  while IFS=: read -r one brings; do
    case $brings in
      /*) [ -e "$brings" ] || echo "$one" ;;
      *) PATH=$PATH:/usr/sbin:/sbin have "$brings" || echo "$one" ;;
    esac
  done < <(packages)
}

# Debian starts a service when its package is installed. The platform runs its own redis-server, and
# the tests their own docker-registry, so these are neither started now nor at the next boot; one
# that was there before is left alone.
readonly SERVICES='redis-server docker-registry'
apt_install() {
  local deny=/usr/sbin/policy-rc.d denied='' status=0 one services=()
  local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -q -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300)
  for one in $SERVICES; do
    case " $* " in *" $one "*) services+=("$one") ;; esac
  done
  if [ ${#services[@]} != 0 ] && [ ! -e "$deny" ]; then
    denied=1
    # shellcheck disable=SC2016  # $1 is the script's
    printf '#!/bin/sh\ncase " %s " in *" $1 "*) exit 101 ;; esac\n' "$SERVICES" | as_root tee "$deny" >/dev/null
    as_root chmod 755 "$deny"
  fi
  as_root "${apt[@]}" install -y --no-install-recommends "$@" ||
    { as_root "${apt[@]}" update && as_root "${apt[@]}" install -y --no-install-recommends "$@"; } || status=$?
  if [ -n "$denied" ]; then as_root rm -f "$deny"; fi
  for one in "${services[@]}"; do
    if has_systemd; then as_root systemctl disable --now "$one"
    elif have update-rc.d; then as_root update-rc.d "$one" disable; fi || true
  done
  return "$status"
}

install_packages() {
  local missing command left
  mapfile -t missing < <(missing_packages)
  if [ ${#missing[@]} = 0 ]; then ok 'system packages'; return; fi
  command="apt-get install -y --no-install-recommends ${missing[*]}"
  have apt-get ||
    die "$EXIT_SETUP" "System packages are missing, and this is not Debian or Ubuntu." "Install what brings (Debian's names): ${missing[*]}"
  find_sudo ||
    die "$EXIT_SETUP" "System packages are missing, and installing them needs root. Run this, then try again:" \
      "sudo apt-get update && sudo $command"
  step "system packages: installing ${missing[*]}" apt_install "${missing[@]}" || exit "$EXIT_SETUP"
  left=$(missing_packages | tr '\n' ' ')
  [ -z "$left" ] || die "$EXIT_SETUP" "Still missing after the installation: $left" "Run: sudo $command"
  case " ${missing[*]} " in
    *' redis-server '*) note "Debian's own Redis service was left switched off; Wafer runs its own redis-server." ;;
  esac
}

# --- users and subordinate ids ----------------------------------------------------------------
create_service_user() {
  local home
  if ! home=$(getent passwd "$SERVICE_USER" | cut -d: -f6) || [ -z "$home" ]; then
    useradd --system --user-group --no-create-home --home-dir "$SERVICE_HOME" --shell /usr/sbin/nologin "$SERVICE_USER"
    home=$SERVICE_HOME
    ok "system user $SERVICE_USER (home $SERVICE_HOME)"
  fi
  [ "$home" = "$SERVICE_HOME" ] ||
    die "$EXIT_SETUP" "A user $SERVICE_USER with home $home exists, but Wafer's has home $SERVICE_HOME." \
      "Rename that user, or start Wafer as an ordinary user."
  if [ ! -d "$SERVICE_HOME" ]; then
    install -d -m 0700 -o "$SERVICE_USER" -g "$SERVICE_USER" "$SERVICE_HOME"
  fi
}

# Start of a range that no line of either file, and no user or group, touches.
free_subids() {
  {
    cat /etc/subuid /etc/subgid 2>/dev/null | awk -F: 'NF == 3 { print $2, $2 + $3 }'
    { getent passwd; getent group; } | awk -F: '$3 >= 100000 { print $3, $3 + 1 }'
  } | sort -n | awk -v want="$SUBID_COUNT" -v at=100000 '
    $1 < at + want && $2 > at { at = 100000 + int(($2 - 100000 + 65535) / 65536) * 65536 }
    END { print at }'
}
has_subids() { # has_subids FILE USER: mmdebstrap and newuidmap want one line that is large enough
  awk -F: -v user="$2" -v uid="$(id -u "$2")" -v min="$SUBID_MIN" \
    '($1 == user || $1 == uid) && $3 >= min { found = 1 } END { exit !found }' "$1" 2>/dev/null
}

give_subids() { # give_subids USER
  local user=$1 first last options=() fix
  if has_subids /etc/subuid "$user" && has_subids /etc/subgid "$user"; then return; fi
  first=$(free_subids)
  last=$((first + SUBID_COUNT - 1))
  if ! has_subids /etc/subuid "$user"; then options+=(--add-subuids "$first-$last"); fi
  if ! has_subids /etc/subgid "$user"; then options+=(--add-subgids "$first-$last"); fi
  fix="usermod ${options[*]} $user"
  if find_sudo; then
    as_root touch /etc/subuid /etc/subgid
    as_root usermod "${options[@]}" "$user" || die "$EXIT_SETUP" "Giving $user subordinate ids failed: $fix"
    ok "subordinate ids $first-$last for $user"
  else
    note "$user has no subordinate ids: sandboxes share one id, and base images can not be built. Fix: sudo $fix"
  fi
}

# npm's and pip's settings of root are root's alone, but builds run as the service user: hand them
# over without any credential. A file there that is not ours is left alone.
readonly HANDED_OVER='# Handed over by infra/setup.sh, without credentials; changes are overwritten.'
hand_over_settings() { # hand_over_settings FROM TO
  local from=$1 to=$SERVICE_HOME/$2 text
  if [ ! -r "$from" ]; then return; fi
  if [ -e "$to" ] && [ "$(head -n 1 "$to")" != "$HANDED_OVER" ]; then return; fi
  text=$(grep -Evi '_auth|token|passw|username|^[[:space:]]*//|^[[:space:]]*(cert|key|certfile|keyfile|email|prefix|cache)[[:space:]]*=' "$from" |
    sed -E 's#://[^/@[:space:]]*@#://#g' || true)
  if [ "$HANDED_OVER"$'\n'"$text" = "$(cat "$to" 2>/dev/null || true)" ]; then return; fi
  "${AS_SERVICE[@]}" env -i mkdir -p "$(dirname "$to")"
  printf '%s\n%s\n' "$HANDED_OVER" "$text" | "${AS_SERVICE[@]}" env -i tee "$to" >/dev/null
}

prepare_users() {
  if [ "$(id -u)" != 0 ]; then give_subids "$(id -un)"; return; fi
  create_service_user
  give_subids "$SERVICE_USER"
  hand_over_settings "$HOME/.npmrc" .npmrc
  hand_over_settings "$HOME/.config/pip/pip.conf" .config/pip/pip.conf
  hand_over_settings "$HOME/.pip/pip.conf" .config/pip/pip.conf
}

# --- kernel -----------------------------------------------------------------------------------
set_sysctl() { # set_sysctl NAME VALUE WHY
  local fix="sudo sysctl -w $1=$2"
  find_sudo || die "$EXIT_SETUP" "$3" "Fix: $fix" "and to keep it: echo '$1 = $2' | sudo tee -a /etc/sysctl.d/60-wafer.conf"
  # shellcheck disable=SC2016
  as_root sh -c 'printf %s "$2" >"/proc/sys/$(printf %s "$1" | tr . /)" && printf "%s = %s\n" "$1" "$2" >>/etc/sysctl.d/60-wafer.conf' sh "$1" "$2" ||
    die "$EXIT_SETUP" "$3" "Setting it failed: $fix"
  ok "$1 = $2 (also in /etc/sysctl.d/60-wafer.conf)"
}
allow_namespaces() {
  if [ "$(sysctl_value user.max_user_namespaces)" = 0 ]; then
    set_sysctl user.max_user_namespaces 15000 'User namespaces are switched off on this machine (user.max_user_namespaces = 0).'
  fi
  if [ "$(sysctl_value kernel.unprivileged_userns_clone)" = 0 ]; then
    set_sysctl kernel.unprivileged_userns_clone 1 'User namespaces are for root only on this machine (kernel.unprivileged_userns_clone = 0).'
  fi
}

# Ubuntu 23.10 and later: only programs with a profile may make user namespaces. The profile is for
# the engine where it lies, under a name of its own for each place.
allow_engine() {
  local engine=$APP/runtime/engine/build name file text
  if [ "$(sysctl_value kernel.apparmor_restrict_unprivileged_userns)" != 1 ]; then return; fi
  name=wafer-engine-$(cksum <<<"$engine" | cut -d' ' -f1)
  file=/etc/apparmor.d/$name
  text=$(printf 'abi <abi/4.0>,\ninclude <tunables/global>\n\nprofile %s "%s{,-asan}/*" flags=(unconfined) {\n  userns,\n}\n' "$name" "$engine")
  if [ "$(cat "$file" 2>/dev/null || true)" = "$text" ]; then return; fi
  if ! find_sudo; then
    printf '%s\n' "$text" >"$LOG_DIR/$name"
    note "AppArmor keeps the engine from making user namespaces. Fix: sudo cp '$LOG_DIR/$name' $file && sudo apparmor_parser -r $file"
    return
  fi
  printf '%s\n' "$text" | as_root tee "$file" >/dev/null
  as_root apparmor_parser -r "$file" || die "$EXIT_SETUP" "Loading the AppArmor profile failed: sudo apparmor_parser -r $file"
  ok "AppArmor profile for the engine ($file)"
}

# --- cgroups ----------------------------------------------------------------------------------
# v1: each user gets a subtree of each controller, wafer/UID, where the engine looks for it. (v2 is handed over when a program is started,
# see enter.sh: a cgroup lives as long as its processes.)
readonly V1_CONTROLLERS=(memory pids cpu cpuacct freezer)
v1_directories() {
  local one
  for one in "${V1_CONTROLLERS[@]}"; do
    if [ -d "/sys/fs/cgroup/$one" ]; then readlink -f "/sys/fs/cgroup/$one"; fi
  done | sort -u
}
hand_over_v1() { # hand_over_v1 USER
  local user=$1 uid one directory todo=()
  if [ "$(cgroup_mode)" != v1 ]; then return; fi
  uid=$(id -u "$user")
  while read -r one; do
    directory=$one/wafer/$uid
    if [ "$(stat -c %u "$directory/cgroup.procs" 2>/dev/null)" != "$uid" ]; then todo+=("$directory"); fi
  done < <(v1_directories)
  if [ ${#todo[@]} = 0 ]; then return; fi
  if ! find_sudo; then
    note "No cgroup is handed over to $user: sandboxes get no kernel limits. Fix: sudo mkdir -p ${todo[*]} && sudo chown -R $uid ${todo[*]}"
    return
  fi
  if ! as_root mkdir -p "${todo[@]}" || ! as_root chown -R "$uid" "${todo[@]}"; then
    note "Handing over cgroups failed: sandboxes get no kernel limits."
    return
  fi
  ok "cgroup v1 subtrees for $user (${#todo[@]} controllers)"
}

prepare_cgroups() {
  if [ "$(id -u)" = 0 ]; then hand_over_v1 "$SERVICE_USER"; else hand_over_v1 "$(id -un)"; fi
}

[ "$(uname -s)" = Linux ] || die "$EXIT_SETUP" "Wafer needs Linux; this is $(uname -s)."
mkdir -p "$LOG_DIR"
check_node
install_packages
prepare_users
allow_namespaces
allow_engine
prepare_cgroups
