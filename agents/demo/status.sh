#!/bin/sh
# A demonstration: says when SITE was last published, from the deployed.log that deploy.sh keeps. Changes nothing.
# Replace it with what really asks your site for its version.
set -eu

if [ "$#" -ne 1 ] || [ -z "$1" ]; then
    echo "usage: status.sh SITE" >&2
    exit 2
fi
site=$1
log=$(cd "$(dirname "$0")" && pwd)/deployed.log

at=
if [ -f "$log" ]; then
    at=$(awk -v site="$site" '$2 == site { at = $1 } END { print at }' "$log")
fi
if [ -n "$at" ]; then
    echo "$site is live since $at"
else
    echo "$site has not been published from here"
fi
