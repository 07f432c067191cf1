#!/bin/sh
# Runs the tests of ci.yaml, leaves report.xml, and ends with the tests' own exit code.
cd "$(dirname "$0")" || exit 1
droppod up -f ci.yaml --timeout 10m --fail-fast --junit "${REPORT:-report.xml}" --exit-code-from job/tests:runner
code=$?
case $code in
    0) echo "all tests passed" ;;
    11) echo "the tests took longer than ten minutes" >&2 ;;
    12) echo "ci.yaml has mistakes; nothing was run" >&2 ;;
    13) echo "an image could not be had" >&2 ;;
    130) echo "interrupted" >&2 ;;
    *) echo "the tests failed with $code" >&2 ;;
esac
exit $code
