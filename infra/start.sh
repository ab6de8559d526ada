#!/bin/bash
# npm start: set up this machine, build, then run the platform with the demo in the foreground.
#   npm start -- [arguments of `wafer up`]
# Ctrl-C ends it; the exit code is the platform's.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=app.sh
. "$SRC/infra/app.sh"

prepare_app run
exec bash "$SRC/infra/enter.sh" node dist/services/cli/main.js up --demo "$@"
