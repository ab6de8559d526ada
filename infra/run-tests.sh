#!/bin/bash
# The checks and tests themselves: called by test.sh, as the right user, in the application's directory.
#   bash infra/run-tests.sh [arguments of vitest run]
# Runs all parts even when one fails. Ends with the runner's summary, the skipped tests with their
# reasons, and one line `N passed, N failed, N skipped`.
set -uo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$APP" || exit

results=$(mktemp -d)
engine=
trap '[ -z "$engine" ] || kill "$engine" 2>/dev/null; rm -rf "$results"' EXIT
passed=0 failed=0 skipped=()

# One check with one result; its output only when it fails.
check() { # check NAME COMMAND...
  local name=$1
  shift
  if step "$name" "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
}

# The engine's own tests print `ok`, `not ok` and `ok ... # SKIP reason` lines (TAP). They run behind
# the next part; what they say comes at their end.
engine_begin() {
  (LIVE='' step 'engine tests (plain, and with ASan and UBSan)' engine_check "$results/engine") \
    >"$results/engine.out" 2>&1 &
  engine=$!
}
engine_check() { make -C runtime/engine check 2>&1 | tee "$1"; }
engine_end() {
  local log=$results/engine status=0 bad
  wait "$engine" || status=$?
  engine=
  cat "$results/engine.out"
  passed=$((passed + $(grep -c '^ok\b' "$log") - $(grep -c '^ok\b.*# SKIP' "$log")))
  bad=$(grep -c '^not ok\b' "$log")
  if [ "$status" != 0 ] && [ "$bad" = 0 ]; then bad=1; fi # did not build, or crashed
  failed=$((failed + bad))
  mapfile -t -O "${#skipped[@]}" skipped < <(sed -n 's/^ok[^-]*- *\(.*\) # SKIP *\(.*\)/engine: \1: \2/p' "$log")
}

vitest_tests() {
  local status=0 color=()
  [ -n "$LIVE" ] || color=(--no-color)
  rm -f "$results/vitest.json"
  WAFER_TEST_RESULTS=$results/vitest.json node_modules/.bin/vitest run ${color[@]+"${color[@]}"} \
    --reporter=default --reporter=./infra/test-reporter.mjs "$@" || status=$?
  if [ ! -s "$results/vitest.json" ]; then failed=$((failed + 1)); return; fi
  local text counted
  # shellcheck disable=SC2016  # the quotes hold JavaScript
  text=$(node -e '
    const totals = JSON.parse(require("node:fs").readFileSync(process.argv[1], "utf8"));
    console.log(`${totals.passed} ${totals.failed}`);
    for (const one of totals.skipped) console.log(`${one.file}: ${one.test}: ${one.reason}`);
  ' "$results/vitest.json")
  read -r -a counted <<<"$text"
  passed=$((passed + counted[0]))
  failed=$((failed + counted[1]))
  if [ "$status" != 0 ] && [ "${counted[1]}" = 0 ]; then failed=$((failed + 1)); fi
  mapfile -t -O "${#skipped[@]}" skipped < <(tail -n +2 <<<"$text")
}

check 'types' node_modules/.bin/tsc --noEmit
check 'lint and format' node_modules/.bin/biome check
engine_begin
if [ $# -gt 0 ]; then
  engine_end
  vitest_tests "$@"
else
  # Both are engines' tests from here on: they would find each other's processes.
  vitest_tests --project unit --project integration
  engine_end
  vitest_tests --project sandbox --project e2e
fi

if [ ${#skipped[@]} -gt 0 ]; then
  printf '\nSkipped:\n'
  printf '  %s\n' "${skipped[@]}"
fi
printf '\n%d passed, %d failed, %d skipped\n' "$passed" "$failed" "${#skipped[@]}"
[ "$failed" = 0 ]
