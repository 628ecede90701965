#!/bin/sh
# Puts all that imagiq needs on a stick, for a machine that no line leads to. Run it where there is a line, on the same
# kind of machine (system, processor, Python):
#
#   deploy/air-gap.sh /media/stick
#
# On the other machine:
#
#   python3 -m venv /opt/imagiq
#   /opt/imagiq/bin/pip install --no-index --find-links /media/stick/imagiq-wheels 'imagiq[learning]'
#
# From then on sites exchange by `imagiq bundle create` and `imagiq bundle apply`; see docs/hospital-it.md.
set -eu
stick=${1:?usage: deploy/air-gap.sh FOLDER [EXTRAS]}
extras=${2-[learning]}
root=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$stick/imagiq-wheels"
python3 -m pip wheel --wheel-dir "$stick/imagiq-wheels" "$root$extras"
cd "$stick/imagiq-wheels"
sha256sum ./*.whl > SHA256SUMS
echo "$(find . -name '*.whl' | wc -l) wheels in $stick/imagiq-wheels; check them there: sha256sum -c SHA256SUMS"
