#!/bin/sh
# Installs facemill's wheel with its locked dependencies into an environment of its own.
# usage: install.sh SOURCE CONSTRAINTS TARGET
set -eu
source=$1
constraints=$2
target=$3

python3 -m venv "$target"
# google-apitools, which Beam needs, comes as source: its build needs setuptools and wheel.
"$target/bin/pip" install --quiet --no-cache-dir setuptools wheel
wheels=$(mktemp -d)
"$target/bin/pip" wheel --quiet --no-deps --wheel-dir "$wheels" "$source"
wheel=$(ls "$wheels"/facemill-*.whl)
"$target/bin/pip" install --quiet --no-cache-dir --constraint "$constraints" \
  "${wheel}[detect,onnx,heif,aws,gcp]"
rm -r "$wheels"
# A package that asks for another version than the locked one is found here and not on a worker.
"$target/bin/pip" check
"$target/bin/python" -c "import facemill, apache_beam"
