#!/bin/bash
# npm run bench: set up and build as `npm start` does, then measure (test/bench).
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=app.sh
. "$SRC/infra/app.sh"

# With the counterparts that are measured beside Wafer.
prepare_app test
exec bash "$SRC/infra/enter.sh" node_modules/.bin/tsx test/bench/main.ts "$@"
