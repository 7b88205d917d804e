#!/bin/sh
# A DAG as a shell script: the script is the run, each step is a `dagtel exec`.
#
#   examples/shell/orders.sh WORK_DIR
#
# Makes the orders of two shops, sums them by customer, and checks the result. Needs a POSIX shell and awk.
set -u
work=${1:?"say in which directory to work"}
mkdir -p "$work"

# The steps. The script calls itself to run one of them as a process.
case ${2-} in
extract)
    exec awk -v shop="$3" 'BEGIN { for (n = 0; n < 100; n++) print shop, "customer" n % 7, n * 3 }' >"$work/$3"
    ;;
join)
    exec awk '{ sum[$2] += $3 } END { for (c in sum) print c, sum[c] }' "$work/north" "$work/south" >"$work/sums"
    ;;
check)
    [ "$(awk '{ sum += $2 } END { print sum }' "$work/sums")" -eq 29700 ]
    exit
    ;;
esac

# task NAME UPSTREAM STEP…
task() {
    name=$1 upstream=$2
    shift 2
    dagtel exec --task-id "$name" --upstream "$upstream" --operator shell --track-memory -- "$0" "$work" "$@"
}

eval "$(dagtel run start --dag-id orders_sh)"

# Two extracts side by side, the join of both, and the check.
task extract_north "" extract north &
task extract_south "" extract south
wait
task join extract_north,extract_south join && task check join check
code=$?

dagtel run finish --exit-code "$code"
exit "$code"
