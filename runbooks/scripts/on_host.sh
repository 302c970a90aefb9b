#!/bin/sh
# on_host.sh WORD: does one of a few fixed things on the host that an alert names, if the allow-list has it.
#
# In the environment: HOST (an instance label, its port is cut off), UNIT (for the words unit-...).
# The allow-list holds one pair a line, "host what", where what is a unit, rotated-logs or diagnostics:
#     web1.example.net nginx.service
#     web1.example.net rotated-logs
# HOST and UNIT come from outside. Both must be plain names and both must stand in the list, so that nothing but what
# somebody wrote there ever reaches a command line.
set -eu

ALLOWED=/opt/stackstorm/configs/selfheal-hosts.allow
word=$1
host=${HOST%%:*}
what=$word

refuse() {
    echo "refused: $1" >&2
    exit 77
}

is_plain() {
    case $1 in
        '' | -* | .* | *[!A-Za-z0-9@._-]*) return 1 ;;
    esac
}

is_plain "$host" || refuse "the host is no plain name"
case $word in
    unit-*)
        what=${UNIT-}
        is_plain "$what" || refuse "the unit is no plain name"
        case $what in rotated-logs | diagnostics) refuse "'$what' is no unit but a word of the allow-list" ;; esac
        ;;
esac
[ -r "$ALLOWED" ] || refuse "there is no allow-list $ALLOWED; list there what may be done on which host"
grep -Fxq -- "$host $what" "$ALLOWED" || refuse "$ALLOWED does not have the line '$host $what'"

on_host() {
    case $host in
        localhost | "$(uname -n)") sh -c "$1" ;;
        *) ssh -o BatchMode=yes -o ConnectTimeout=10 -- "$host" "$1" ;;
    esac
}

case $word in
    unit-state) on_host "systemctl is-active $what || true" ;;
    unit-start) on_host "sudo -n systemctl reset-failed $what; sudo -n systemctl start $what" ;;
    unit-stop) on_host "sudo -n systemctl stop $what" ;;
    rotated-logs)
        on_host "df -P /var/log; sudo -n find /var/log -xdev -type f -mtime +7 \
            '(' -name '*.gz' -o -name '*.xz' -o -name '*.old' -o -name '*.[0-9]' -o -name '*-20[0-9][0-9][0-9][0-9][0-9][0-9]' ')' \
            -print -delete; df -P /var/log"
        ;;
    diagnostics)
        on_host "uptime; echo; free -m; echo; df -P; echo; systemctl --failed --no-legend; echo; \
            ps -eo pid,ppid,user,stat,pcpu,pmem,etime,args --sort=-pcpu | head -n 20; echo; \
            ps -eo pid,user,pmem,rss,args --sort=-rss | head -n 10; echo; journalctl -p err -n 30 --no-pager 2>&1 || true"
        ;;
    *) refuse "the word '$word' is not known" ;;
esac
