#!/usr/bin/env bash
# Swift is formatted as .swift-format has it, and breaks none of the formatter's rules.
set -euo pipefail
cd "$(dirname "$0")/../.."

swift format lint --strict --recursive --parallel Package.swift Sources Tests ||
  { echo 'Each place above is not as .swift-format has it: `make format` rewrites what it can'; exit 1; }
