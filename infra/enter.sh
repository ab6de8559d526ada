#!/bin/bash
# Runs a command of the platform as the user it has to run as, in the directory of the application,
# inside a cgroup that is handed over to that user.
#   bash infra/enter.sh COMMAND...
# As root: the service user, /var/lib/wafer/app, a clean environment. Otherwise: yourself, the
# clone, your environment. Replaces itself by the command: signals, terminal and exit code are the
# command's own. Where no cgroup can be handed over it says so and goes on without.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# --- the command's environment (only when the user changes) -------------------------------------
# Settings of Wafer, of the terminal, and of how this machine reaches its registries. npm's own
# variables about root's files would point the service user at what it can not read.
kept_variable() {
  case $1 in
    npm_config_userconfig | npm_config_globalconfig | npm_config_cache | npm_config_prefix | npm_config_*_prefix) return 1 ;;
    npm_config_init_module | npm_config_node_gyp | npm_config_user_agent | npm_config_npm_version) return 1 ;;
    WAFER_ENTERED | *[Tt][Oo][Kk][Ee][Nn]* | *[Aa][Uu][Tt][Hh] | *[Pp][Aa][Ss][Ss][Ww]*) return 1 ;;
    WAFER_* | NO_COLOR | FORCE_COLOR | TERM | COLORTERM | COLUMNS | LANG | LC_* | TZ | CI | VITEST_*) return 0 ;;
    PATH) return 0 ;;
    npm_config_* | NPM_CONFIG_* | PIP_* | NODE_EXTRA_CA_CERTS) return 0 ;;
    SSL_CERT_FILE | SSL_CERT_DIR | REQUESTS_CA_BUNDLE | CURL_CA_BUNDLE) return 0 ;;
    http_proxy | https_proxy | no_proxy | all_proxy | HTTP_PROXY | HTTPS_PROXY | NO_PROXY | ALL_PROXY) return 0 ;;
    *) return 1 ;;
  esac
}

# Node may lie where only root can enter (a version manager in /root): then the service user gets
# its own copy of node and npm, once a version.
node_directory() {
  local node version copy
  node=$(readlink -f "$(command -v node)")
  if "${AS_SERVICE[@]}" env -i test -x "$node"; then dirname "$(command -v node)"; return; fi
  version=$(node --version)
  copy=$SERVICE_HOME/node-$version
  if [ ! -x "$copy/bin/npm" ]; then
    rm -rf "$copy.new"
    mkdir -p "$copy.new/bin" "$copy.new/lib/node_modules"
    cp "$node" "$copy.new/bin/node"
    cp -r "$(dirname "$(dirname "$node")")/lib/node_modules/npm" "$copy.new/lib/node_modules/npm"
    ln -s ../lib/node_modules/npm/bin/npm-cli.js "$copy.new/bin/npm"
    ln -s ../lib/node_modules/npm/bin/npx-cli.js "$copy.new/bin/npx"
    chown -R "$SERVICE_USER:" "$copy.new"
    rm -rf "$copy"
    mv "$copy.new" "$copy"
  fi
  echo "$copy/bin"
}

# A CA file that only root can read is copied (certificates are public) and the copy named.
readable_file() { # readable_file NAME PATH
  local copy=$SERVICE_HOME/ca/$1.pem
  if [ ! -f "$2" ] || "${AS_SERVICE[@]}" env -i test -r "$2"; then echo "$2"; return; fi
  "${AS_SERVICE[@]}" env -i mkdir -p "$SERVICE_HOME/ca"
  "${AS_SERVICE[@]}" env -i tee "$copy" <"$2" >/dev/null
  echo "$copy"
}

# Changes this shell's own environment: a value must not show up in anybody's process list.
service_environment() {
  local name path
  path=$(node_directory):/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
  while IFS= read -r name; do
    if ! kept_variable "$name"; then unset "$name"; continue; fi
    case $name in NODE_EXTRA_CA_CERTS | SSL_CERT_FILE | REQUESTS_CA_BUNDLE | CURL_CA_BUNDLE | PIP_CERT | npm_config_cafile)
      export "$name=$(PATH=$path readable_file "$name" "${!name}")" ;;
    esac
  done < <(compgen -e)
  export HOME=$SERVICE_HOME USER=$SERVICE_USER LOGNAME=$SERVICE_USER SHELL=/bin/sh PATH=$path
}

# --- cgroup v2 ----------------------------------------------------------------------------------
own_cgroup() { sed -n 's/^0:://p' /proc/self/cgroup; }
is_ours() { # is_ours USER: our cgroup is USER's own, with the controllers that limits need
  local directory
  directory=/sys/fs/cgroup$(own_cgroup)
  [ "$(stat -c %U "$directory/cgroup.subtree_control" 2>/dev/null)" = "$1" ] &&
    [ "$(stat -c %U "$directory/cgroup.procs" 2>/dev/null)" = "$1" ] &&
    grep -qw memory "$directory/cgroup.controllers" && grep -qw pids "$directory/cgroup.controllers"
}
give_cgroup() { # give_cgroup DIRECTORY USER
  chown "$2:" "$1" "$1/cgroup.procs" "$1/cgroup.threads" "$1/cgroup.subtree_control"
}
without_cgroup() { note "No cgroup is handed over, so sandboxes get no kernel limits: $1" >&2; }

# Root, without systemd: a group of our own beside whatever else there is.
make_cgroup() {
  local top=/sys/fs/cgroup directory controller
  for controller in memory pids cpu; do
    echo "+$controller" >"$top/cgroup.subtree_control" 2>/dev/null || true
  done
  directory=$top/wafer-$$
  if ! mkdir "$directory" 2>/dev/null || ! grep -qw memory "$directory/cgroup.controllers"; then
    rmdir "$directory" 2>/dev/null || true
    without_cgroup "the memory controller can not be enabled in $top"
    return
  fi
  rmdir "$top"/wafer-[0-9]* 2>/dev/null || true # of earlier runs; one in use stays
  mkdir -p "$directory"
  give_cgroup "$directory" "$SERVICE_USER"
  echo $$ >"$directory/cgroup.procs"
}

# Root, with systemd: a scope of the system; root enters it first and then gives it away.
enter_as_root() {
  if [ "$(cgroup_mode)" != v2 ] || is_ours "$SERVICE_USER"; then return; fi
  if ! has_systemd; then make_cgroup; return; fi
  if [ -n "${WAFER_ENTERED:-}" ]; then
    give_cgroup "/sys/fs/cgroup$(own_cgroup)" "$SERVICE_USER"
    is_ours "$SERVICE_USER" || without_cgroup "systemd's scope $(own_cgroup) has no memory or pids controller"
    return
  fi
  WAFER_ENTERED=1 exec systemd-run --quiet --scope --collect -p Delegate=yes -p "Description=Wafer" \
    bash "$SRC/infra/enter.sh" "$@"
}

# An ordinary user, with systemd: a scope of the user's own manager, which is started for a user
# that has none (logged in by su, cron, CI).
enter_as_user() {
  local user
  user=$(id -un)
  if [ "$(cgroup_mode)" != v2 ] || is_ours "$user"; then return; fi
  if [ -n "${WAFER_ENTERED:-}" ]; then
    without_cgroup "systemd's scope $(own_cgroup) has no memory or pids controller; fix: sudo mkdir -p /etc/systemd/system/user@.service.d; printf '[Service]\\nDelegate=cpu memory pids\\n' | sudo tee /etc/systemd/system/user@.service.d/delegate.conf, then restart the machine"
    return
  fi
  if ! has_systemd; then without_cgroup "this host has no systemd; start Wafer as root once, it switches to a user of its own"; return; fi
  # `su` and `sudo` leave another user's there.
  if [ ! -O "${XDG_RUNTIME_DIR:-/}" ]; then
    export XDG_RUNTIME_DIR
    XDG_RUNTIME_DIR=/run/user/$(id -u)
    unset DBUS_SESSION_BUS_ADDRESS
  fi
  if [ ! -S "$XDG_RUNTIME_DIR/systemd/private" ]; then
    if find_sudo && as_root loginctl enable-linger "$user"; then
      note "Started the user manager of $user (loginctl enable-linger $user)."
      for _ in $(seq 100); do [ -S "$XDG_RUNTIME_DIR/systemd/private" ] && break; sleep 0.1; done
    fi
  fi
  if ! systemd-run --user --quiet --scope --collect -p Delegate=yes true 2>/dev/null; then
    without_cgroup "$user has no user manager; fix: sudo loginctl enable-linger $user"
    return
  fi
  WAFER_ENTERED=1 exec systemd-run --user --quiet --scope --collect -p Delegate=yes -p "Description=Wafer" \
    bash "$SRC/infra/enter.sh" "$@"
}

[ $# -gt 0 ] || { sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2; exit 2; }
if [ "$(id -u)" = 0 ]; then
  enter_as_root "$@"
  service_environment
  # The clone may be closed to the service user; the application is not.
  cd "$APP"
  exec "${AS_SERVICE[@]}" "$@"
fi
enter_as_user "$@"
unset WAFER_ENTERED
cd "$APP"
exec "$@"
