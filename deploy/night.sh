#!/bin/sh
# One night: score the photos that are new or changed, and look for their people in a gallery.
#
#     night.sh [NIGHT] [score|match]      NIGHT is a date such as 2026-11-25: $NIGHT, else today
#
# Settings are environment variables; night.env describes them. The same night may run again, after
# a failure too: what it wrote is replaced whole. The exit code is that of the command that failed:
# 1 the run failed and may be tried again, 2 a setting is wrong.
set -eu

: "${PHOTOS:?must name the photos, see night.env}"
: "${MODEL:?must name the model, see night.env}"
: "${OUTPUT:?must name the directory for results, see night.env}"
night="${1:-${NIGHT:-$(date +%F)}}"
step="${2:-all}"

# The options are several words, so they stand without quotes.
score() {
    # shellcheck disable=SC2086
    ${FACEMILL:-facemill} score --input "$PHOTOS" --model "$MODEL" \
        --output "$OUTPUT/embeddings" --partition "$night" \
        --since ${SINCE:+"$SINCE"} "$OUTPUT/embeddings" \
        --status-file "$OUTPUT/status/score.json" ${SCORE_OPTIONS:-} ${RUNNER_OPTIONS:-}
}

match() {
    # shellcheck disable=SC2086
    ${FACEMILL:-facemill} match --probes "$OUTPUT/embeddings/$night" --gallery "$GALLERY" \
        --output "$OUTPUT/matches" --partition "$night" \
        --status-file "$OUTPUT/status/match.json" ${MATCH_OPTIONS:-} ${RUNNER_OPTIONS:-}
}

case "$step" in
    score) score ;;
    match) [ -z "${GALLERY:-}" ] || match ;;
    all) score; [ -z "${GALLERY:-}" ] || match ;;
    *) echo "night.sh: the step must be score or match, got $step; leave it out for both." >&2
       exit 2 ;;
esac
