"""The benchmarks' gevent peer: greenlets, started by the bench program with the process pinned.

    python3 peer.py serve SERVICE              a server; SERVICE is echo, echo-large or stream
    python3 peer.py micro TASK SECONDS TASKS   one measurement
    python3 peer.py start-up                   the shortest program

Each answers on stdout with one JSON value a line, as the other peers do; see benches/src/child.rs.
"""

import json
import resource
import sys
import time


def main(arguments):
    if len(arguments) == 2 and arguments[0] == "serve":
        import serve

        serve.serve(arguments[1])
    elif len(arguments) == 4 and arguments[0] == "micro":
        import micro

        answer(micro.measure(arguments[1], float(arguments[2]), int(arguments[3])))
    elif arguments == ["start-up"]:
        import gevent

        ran = []
        gevent.spawn(ran.append, 1).join()
        if ran != [1]:
            sys.exit("the greenlet did not run")
        answer(kibibytes("/proc/self/status", "VmHWM:"))
    else:
        sys.exit(__doc__)


def answer(value):
    """Writes one value to the parent."""
    print(json.dumps(value), flush=True)


def usage():
    """What the process has used so far."""
    user = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    return {
        "cpu_nanos": time.process_time_ns(),
        "user_nanos": int(user * 1e9),
        "resident_bytes": kibibytes("/proc/self/smaps_rollup", "Rss:"),
    }


def kibibytes(file, field):
    """Reads the field of a file of the kernel that counts in KiB; in bytes."""
    with open(file) as lines:
        for line in lines:
            if line.startswith(field):
                return int(line.split()[1]) * 1024
    raise LookupError(f"no {field} in {file}")


if __name__ == "__main__":
    # The other modules import this one by its name.
    sys.modules["peer"] = sys.modules["__main__"]
    main(sys.argv[1:])
