#!/bin/bash
# npm run faults: set up and build as `npm start` does, then break things (test/faults).
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=app.sh
. "$SRC/infra/app.sh"

prepare_app test
exec bash "$SRC/infra/enter.sh" node_modules/.bin/tsx test/faults/main.ts "$@"
