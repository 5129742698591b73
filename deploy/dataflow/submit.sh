#!/bin/sh
# Runs a facemill command on Dataflow: submit.sh score --input gs://... --model gs://... --output gs://...
#
# Inputs and output are URLs of an object store that the workers' service account reaches. This
# process builds the graph, waits for the job and then writes the manifest, so it must live as long
# as the job: a small machine, a container of deploy/Dockerfile, or `kubectl apply -f job.yaml`.
# Ctrl-C cancels the job. The same command again finishes or replaces what a failed one left.
set -eu

: "${PROJECT:?must name the Google Cloud project}"
: "${REGION:?must name the region, such as europe-west4}"
: "${TEMP:?must name a folder on the store, such as gs://BUCKET/temp}"
: "${IMAGE:?must name the image of deploy/Dockerfile in a registry}"

# A worker of one core with 3.75 GB takes every job; larger machines share one model among threads.
# The image holds facemill, so workers need no address of their own and install nothing.
exec "${FACEMILL:-facemill}" "$@" \
    --runner=DataflowRunner --project="$PROJECT" --region="$REGION" \
    --temp_location="$TEMP" --sdk_container_image="$IMAGE" --sdk_location=container \
    --machine_type="${MACHINE:-n1-standard-1}" --max_num_workers="${MAX_WORKERS:-50}" \
    --no_use_public_ips --experiments=disable_logging_submission_environment
