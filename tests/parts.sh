#!/bin/sh
# What the tests talk to: PostgreSQL, net-snmp's snmpd, FRRouting behind OpenSSH, iperf3 over a limited line, Prometheus with
# promtool; Pango and HarfBuzz, which lay out reports as PDF; and Chromium, which looks at the pages.
# As root on Debian or Ubuntu they are installed. Otherwise what is missing is listed, and the tests that need it are
# skipped with the reason. With CI=true a missing part is a failure.
set -eu
missing=""
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null || missing="$missing postgresql"
command -v snmpd >/dev/null || [ -x /usr/sbin/snmpd ] || missing="$missing snmpd"
command -v promtool >/dev/null || missing="$missing prometheus"
ldconfig -p 2>/dev/null | grep -q libpangoft2-1.0.so.0 || missing="$missing libpango-1.0-0 libpangoft2-1.0-0"
ldconfig -p 2>/dev/null | grep -q libharfbuzz-subset.so.0 || missing="$missing libharfbuzz-subset0"
command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null ||
	missing="$missing chromium"
# FRRouting and sshd are run by root only, so nobody else needs them.
if [ "$(id -u)" = 0 ]; then
	[ -x /usr/lib/frr/zebra ] || missing="$missing frr frr-pythontools"
	[ -x /usr/sbin/sshd ] || missing="$missing openssh-server"
	# So are network namespaces with a limited line.
	command -v ip >/dev/null || missing="$missing iproute2"
	command -v iperf3 >/dev/null || missing="$missing iperf3"
fi
[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
	echo "installing the parts that the tests talk to:$missing"
	apt-get update -qq || echo "apt-get update failed; trying with the lists at hand"
	# A policy that starts no service: the tests start their own servers, on ports of their own.
	DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends $missing >/dev/null && exit 0
	echo "could not install:$missing"
else
	echo "not root, so these parts are not installed; tests that need them are skipped:$missing"
	echo "to have them: sudo apt-get install$missing"
fi
[ "${CI:-}" != true ] || { echo "CI=true: a missing part is a failure"; exit 1; }
