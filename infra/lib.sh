# shellcheck shell=bash
# shellcheck disable=SC2034  # names are used by the scripts that source this file
# What the scripts of infra/ share: places, words on the screen, steps, privilege, cgroup mode.
# Sourced, never run. Functions return non-zero instead of exiting, but for `die`.

SRC=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly SRC
readonly SERVICE_USER=wafer
readonly SERVICE_HOME=/var/lib/wafer
readonly SUBID_MIN=65536    # an image uses the ids 0 to 65535
readonly SUBID_COUNT=131072 # what we give: one such block, and as many private ids for sandboxes
readonly EXIT_SETUP=4       # set-up is incomplete and we may not complete it

# Started as root, the platform runs as the service user, from a copy: the clone may lie where
# only root can enter, and the platform must not be able to change what root runs.
if [ "$(id -u)" = 0 ]; then APP=$SERVICE_HOME/app; else APP=$SRC; fi # the copy's own SRC is the copy
readonly APP
readonly LOG_DIR=$SRC/.wafer/log

# --- words on the screen ----------------------------------------------------------------------
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ] && [ "${TERM:-dumb}" != dumb ]; then
  DIM=$'\e[2m' RED=$'\e[31m' GREEN=$'\e[32m' YELLOW=$'\e[33m' RESET=$'\e[0m' LIVE=1
else
  DIM='' RED='' GREEN='' YELLOW='' RESET='' LIVE=''
fi
case ${LC_ALL:-${LC_CTYPE:-${LANG:-}}} in
  *[Uu][Tt][Ff]*) OK_MARK='✓' BAD_MARK='✗' FRAMES='⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏' ;;
  *) OK_MARK='ok' BAD_MARK='failed:' FRAMES="|/-\\" ;;
esac

ok() { printf '%s%s%s %s\n' "$GREEN" "$OK_MARK" "$RESET" "$1"; }
note() { printf '%s!%s %s\n' "$YELLOW" "$RESET" "$1"; }
bad() { printf '%s%s%s %s\n' "$RED" "$BAD_MARK" "$RESET" "$1" >&2; }
die() { # die CODE MESSAGE [LINE...]: one clear line, then what to do
  local code=$1
  shift
  bad "$1"
  shift
  if [ $# -gt 0 ]; then printf '  %s\n' "$@" >&2; fi
  exit "$code"
}

# Writes over its own line while the process PID runs; plain output gets nothing here.
spin() { # spin PID TEXT
  local i=0 start=$SECONDS
  while kill -0 "$1" 2>/dev/null; do
    printf '\r\e[K%s %s %s%s s%s' "${FRAMES:i++%${#FRAMES}:1}" "$2" "$DIM" "$((SECONDS - start))" "$RESET"
    sleep 0.1
  done
  printf '\r\e[K'
}

# Runs a command with its output in a log file; one line on the screen, more only when it fails.
step() { # step TEXT COMMAND...
  local text=$1 log start=$SECONDS pid status=0 took=''
  shift
  mkdir -p "$LOG_DIR"
  log=$LOG_DIR/$(tr -cs 'a-zA-Z0-9\n' - <<<"$text").log
  [ -n "$LIVE" ] || printf '%s ...\n' "$text"
  "$@" >"$log" 2>&1 </dev/null &
  pid=$!
  # A background process of a script does not hear Ctrl-C by itself.
  trap 'kill -TERM "$pid" 2>/dev/null; wait "$pid" 2>/dev/null; exit 130' INT TERM
  if [ -n "$LIVE" ]; then spin "$pid" "$text"; fi
  wait "$pid" || status=$?
  trap - INT TERM
  if [ "$status" = 0 ]; then
    if [ $((SECONDS - start)) -gt 0 ]; then took=" $DIM($((SECONDS - start)) s)$RESET"; fi
    ok "$text$took"
    return 0
  fi
  bad "$text failed (exit code $status); its last lines, all of it in $log:"
  tail -n 20 "$log" | sed 's/^/  | /' >&2
  return "$status"
}

# --- privilege --------------------------------------------------------------------------------
have() { command -v "$1" >/dev/null 2>&1; }

SUDO=unknown # `none`, or the words to put before a command (an array in AS_ROOT)
AS_ROOT=()
find_sudo() { # true when a command can be run as root; asks for a password only at a terminal
  if [ "$SUDO" = unknown ]; then
    SUDO=yes
    if [ "$(id -u)" = 0 ]; then AS_ROOT=()
    elif have sudo && sudo -n true 2>/dev/null; then AS_ROOT=(sudo -n)
    elif have sudo && [ -t 0 ] && [ -t 1 ] && sudo -v -p 'Set-up needs sudo; password of %u: '; then AS_ROOT=(sudo)
    else SUDO=none; fi
  fi
  [ "$SUDO" != none ]
}
as_root() { ${AS_ROOT[@]+"${AS_ROOT[@]}"} "$@"; } # after find_sudo

# Before a command: run it as the service user, with its groups and nothing to inherit. Not runuser
# or su: no session, no terminal games, signals arrive. The environment is enter.sh's job.
AS_SERVICE=(setpriv --reuid "$SERVICE_USER" --regid "$SERVICE_USER" --init-groups --inh-caps=-all)

# --- kernel -----------------------------------------------------------------------------------
has_systemd() { [ -d /run/systemd/system ]; }
sysctl_value() { cat "/proc/sys/${1//.//}" 2>/dev/null || true; }

cgroup_mode() { # v2, v1 or none: what this host has, not yet what we may use of it
  if [ -e /sys/fs/cgroup/cgroup.controllers ]; then echo v2
  elif [ -d /sys/fs/cgroup/memory ]; then echo v1
  else echo none; fi
}

# --- stamps -----------------------------------------------------------------------------------
# Names, sizes, times and modes of all files that a step depends on: quick, and enough to notice a change.
fingerprint() { # fingerprint DIRECTORY FIND-ARGUMENTS...
  local directory=$1
  shift
  (cd "$directory" && find "$@" -printf '%P %s %T@ %m %l\n' | LC_ALL=C sort | sha256sum | cut -d' ' -f1)
}
