# shellcheck shell=bash
# Steps that turn a clone into an application that can be started: npm packages, build, and (as
# root) the service user's copy. Each does nothing when nothing has changed. Sourced after lib.sh.

npm_stamp() { { node --version; uname -m; cat "$SRC/package-lock.json"; } | sha256sum | cut -d' ' -f1; }

# Install scripts are not run: no dependency needs one.
npm_packages() {
  local stamp=$SRC/node_modules/.wafer-stamp wanted
  wanted=$(npm_stamp)
  if [ "$(cat "$stamp" 2>/dev/null || true)" = "$wanted" ]; then ok 'npm packages'; return; fi
  step 'npm packages' npm --prefix "$SRC" ci --ignore-scripts --no-audit --no-fund || return
  echo "$wanted" >"$stamp"
}

build_inputs() {
  cat "$SRC/node_modules/.wafer-stamp"
  fingerprint "$SRC" services runtime package.json tsconfig.json infra/build.mjs \
    \( -path '*/engine/build*' -o -path '*/http/build*' -o -path '*/node/build*' -o -name __pycache__ -o -name node_modules \) -prune -o -type f
}
compile() {
  cd "$SRC" || return
  MAKEFLAGS=-j$(nproc) npm run -s build
}
build_app() {
  local stamp=$SRC/dist/.wafer-stamp inputs
  inputs=$(build_inputs | sha256sum)
  if [ "$(cat "$stamp" 2>/dev/null || true)" = "$inputs" ] && [ -x "$SRC/runtime/engine/build/wafer-engine" ] &&
    [ -x "$SRC/runtime/languages/http/build/wafer-http" ] && [ -f "$SRC/runtime/languages/node/build/main.cjs" ]; then
    ok 'build'
    return
  fi
  step 'build: platform and engine' compile || return
  echo "$inputs" >"$stamp"
}

# --- the service user's copy (only as root) ---------------------------------------------------
# Everything of the clone but its history, its npm packages (copied when they change) and logs.
readonly NOT_COPIED=(-path ./.git -o -path ./node_modules -o -path ./.wafer)
list_files() { (cd "$1" && find . \( "${NOT_COPIED[@]}" \) -prune -o ! -type d -print | LC_ALL=C sort); }

copy_sources() {
  local files
  files=$(mktemp)
  list_files "$SRC" >"$files"
  # What is gone in the clone goes here too; results of builds and tests that were made here stay.
  list_files "$APP" | LC_ALL=C comm -13 "$files" - | grep -Ev '/build(-[a-z]+)?/' | (cd "$APP" && tr '\n' '\0' | xargs -0 -r rm -f)
  find "$APP" -mindepth 1 -depth -type d -empty ! -path "$APP/node_modules/*" ! -path "$APP/.wafer*" -delete
  tar -C "$SRC" --no-recursion -T "$files" -c | tar -C "$APP" -x --no-same-owner --no-same-permissions
  rm -f "$files"
  find "$APP" \( -path "$APP/node_modules" -o -path "$APP/.wafer" \) -prune -o -exec chown -h "$SERVICE_USER:" {} +
}
copy_packages() {
  rm -rf "$APP/node_modules.new"
  cp -r "$SRC/node_modules" "$APP/node_modules.new"
  chown -hR "$SERVICE_USER:" "$APP/node_modules.new"
  rm -rf "$APP/node_modules"
  mv "$APP/node_modules.new" "$APP/node_modules"
}
copy_app() {
  local stamp=$SERVICE_HOME/app.stamp inputs
  if [ "$APP" = "$SRC" ]; then return; fi
  inputs=$(cat "$SRC/node_modules/.wafer-stamp")$'\n'$(fingerprint "$SRC" . \( "${NOT_COPIED[@]}" \) -prune -o ! -type d)
  if [ "$(cat "$stamp" 2>/dev/null || true)" = "$SRC"$'\n'"$inputs" ]; then return; fi
  install -d -m 0755 -o "$SERVICE_USER" -g "$SERVICE_USER" "$APP" "$APP/.wafer"
  rm -f "$stamp"
  step "copy for the user $SERVICE_USER" copy_all || return
  printf '%s\n%s\n' "$SRC" "$inputs" >"$stamp"
}
copy_all() {
  umask 022
  copy_sources || return
  if ! cmp -s "$SRC/node_modules/.wafer-stamp" "$APP/node_modules/.wafer-stamp"; then copy_packages; fi
}

# Everything up to a startable application.
prepare_app() { # prepare_app run|test|bench: what the application is prepared for
  bash "$SRC/infra/setup.sh" "--$1" || exit
  npm_packages || exit
  build_app || exit
  copy_app || exit
}
