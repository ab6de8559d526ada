#!/bin/bash
# npm test: set up this machine, build, then run every check and test as the right user.
#   npm test -- [arguments of vitest run]
# The last line is the total over the engine's own checks, types, lint and all tests:
# `N passed, N failed, N skipped`. The exit code is 0 only when nothing failed.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=app.sh
. "$SRC/infra/app.sh"

prepare_app test
exec bash "$SRC/infra/enter.sh" bash infra/run-tests.sh "$@"
