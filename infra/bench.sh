#!/bin/bash
# npm run bench: set up and build as `npm start` does, then measure (test/bench).
#   npm run bench -- [--quick] [--list] [--out DIR | --no-files] [LINE or GROUP ...]
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=app.sh
. "$SRC/infra/app.sh"

# With the counterparts that are measured beside Wafer.
prepare_app bench
status=0
bash "$SRC/infra/enter.sh" node_modules/.bin/tsx test/bench/main.ts "$@" || status=$?
# Started as root it ran in the service user's copy: what it wrote there belongs here.
if [ "$APP" != "$SRC" ]; then
  for file in figures.json figures.svg; do
    if [ -e "$APP/docs/bench/$file" ] && ! cmp -s "$APP/docs/bench/$file" "$SRC/docs/bench/$file"; then
      mkdir -p "$SRC/docs/bench"
      cat "$APP/docs/bench/$file" >"$SRC/docs/bench/$file"
    fi
  done
fi
exit "$status"
