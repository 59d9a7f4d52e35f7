#!/bin/sh
# A fresh Debian or Ubuntu has python3 without ensurepip. As root we install it, otherwise we name the one command.
set -eu
python=${1:-python3}
package=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
	echo "installing $package (this Python has no ensurepip)"
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package" >/dev/null
else
	echo "This Python has no ensurepip, so no virtual environment can be made. Run this once, then make again:"
	echo "    sudo apt-get install $package"
	exit 1
fi
