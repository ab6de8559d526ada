#!/bin/sh
# The event is on stdin, the answer goes to stdout, and what is said on stderr is the log.
echo "call $WAFER_INVOCATION_ID of $WAFER_FUNCTION" >&2
words=$(tr -cs 'A-Za-z' '\n' | tr 'A-Z' 'a-z' | grep -v '^$' | sort | uniq -c | sort -k1,1nr -k2 | head -3)
echo "$words" | awk 'BEGIN { printf "[" } { printf "%s{\"word\": \"%s\", \"count\": %d}", (NR > 1 ? ", " : ""), $2, $1 } END { print "]" }'
