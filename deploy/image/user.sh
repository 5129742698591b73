#!/bin/sh
# Makes the user that workers run as: one without rights, whose home they may write to.
set -eu
useradd --create-home --uid 10001 --shell /usr/sbin/nologin facemill
