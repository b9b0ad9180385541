#!/bin/sh
# Every test, in a virtual machine of their own; as root on Debian 12.
set -eu

exec cargo xtask test
