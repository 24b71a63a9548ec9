#!/bin/sh
# A demonstration: "publishes" SITE by noting it in deployed.log beside this script.
# Replace it with what really publishes your site; keep the argument, and exit non-zero if it did not work.
set -eu

if [ "$#" -ne 1 ] || [ -z "$1" ]; then
    echo "usage: deploy.sh SITE" >&2
    exit 2
fi
site=$1
log=$(cd "$(dirname "$0")" && pwd)/deployed.log
now=$(date -u +%Y-%m-%dT%H:%M:%SZ)

before=never
if [ -f "$log" ]; then
    before=$(awk -v site="$site" '$2 == site { at = $1 } END { print (at == "" ? "never" : at) }' "$log")
fi
printf '%s %s\n' "$now" "$site" >>"$log"

echo "$site is live since $now"
echo "before: $before"
