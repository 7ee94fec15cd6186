"""gevent's greenlets, queues and locks, one operation at a time."""

import sys
import time

import gevent
from gevent.event import Event
from gevent.lock import Semaphore
from gevent.queue import Queue

from peer import usage

# The sizes of a slice: those of the files of benches/src, or a part, for an interpreter.
YIELDS = 10_000
BATCH = 1_000
ROUND_TRIPS = 5_000
ITEMS = 10_000
ROOM = 128
ALONE = 20_000
CONTENDED = 1_000
CONTENDERS = 4
PERMITS = 2


def measure(task, seconds, tasks):
    """One task's numbers."""
    if task == "park":
        return park(tasks)
    if task in SLEEPS:
        return sleep(tasks, *SLEEPS[task])
    if task not in SLICES:
        sys.exit(f"no task {task}")
    operations, body = SLICES[task]
    body()
    taken = 0.0
    done = 0
    while taken < seconds:
        taken += body()
        done += operations
    return [taken * 1e9 / done]


def check(got, expected):
    if got != expected:
        sys.exit(f"{got} instead of {expected}")


def yield_now():
    """Two greenlets yield; nearly half of the yields at least must go to the other one."""
    last = None
    alternated = 0

    def turns(name):
        nonlocal last, alternated
        for _ in range(YIELDS):
            alternated += last != name
            last = name
            gevent.sleep(0)

    start = time.perf_counter()
    gevent.joinall([gevent.spawn(turns, name) for name in (1, 2)])
    taken = time.perf_counter() - start
    check(alternated > 2 * YIELDS * 0.48, True)
    return taken


def spawn_join():
    ran = []
    start = time.perf_counter()
    gevent.joinall([gevent.spawn(ran.append, number) for number in range(BATCH)])
    taken = time.perf_counter() - start
    check(len(ran), BATCH)
    return taken


def spawn():
    """Nobody joins: the last one tells."""
    ran = []
    over = Event()

    def body(number):
        ran.append(number)
        if len(ran) == BATCH:
            over.set()

    start = time.perf_counter()
    for number in range(BATCH):
        gevent.spawn(body, number)
    over.wait()
    taken = time.perf_counter() - start
    check(len(ran), BATCH)
    return taken


def ping_pong(room):
    pings, pongs = Queue(room), Queue(room)

    def ponging():
        for number in iter(pings.get, None):
            pongs.put(number + 1)

    answering = gevent.spawn(ponging)

    def pinging():
        number = 0
        for _ in range(ROUND_TRIPS):
            pings.put(number)
            number = pongs.get()
        return number

    start = time.perf_counter()
    check(gevent.spawn(pinging).get(), ROUND_TRIPS)
    taken = time.perf_counter() - start
    pings.put(None)
    answering.join()
    return taken


def spsc(room):
    queue = Queue(room)

    def sending():
        for item in range(ITEMS):
            queue.put(item)
        queue.put(None)

    start = time.perf_counter()
    gevent.spawn(sending)
    received = gevent.spawn(lambda: list(iter(queue.get, None))).get()
    taken = time.perf_counter() - start
    check(received, list(range(ITEMS)))
    return taken


def lock_alone():
    """gevent has one lock for all: a semaphore with one permit."""
    semaphore = Semaphore(1)
    number = 0
    start = time.perf_counter()
    for _ in range(ALONE):
        with semaphore:
            number += 1
    taken = time.perf_counter() - start
    check(number, ALONE)
    return taken


def lock_contended(permits):
    semaphore = Semaphore(permits)
    now = most = acquired = 0

    def holding():
        nonlocal now, most, acquired
        for _ in range(CONTENDED):
            with semaphore:
                acquired += 1
                now += 1
                most = max(most, now)
                gevent.sleep(0)
                now -= 1

    start = time.perf_counter()
    gevent.joinall([gevent.spawn(holding) for _ in range(CONTENDERS)])
    taken = time.perf_counter() - start
    check(acquired, CONTENDERS * CONTENDED)
    check(most <= permits, True)
    return taken


def event():
    ping, pong = Event(), Event()
    woken = 0

    def ponging():
        nonlocal woken
        while woken < ROUND_TRIPS:
            ping.wait()
            ping.clear()
            woken += 1
            pong.set()

    def pinging():
        for _ in range(ROUND_TRIPS):
            ping.set()
            pong.wait()
            pong.clear()

    start = time.perf_counter()
    gevent.joinall([gevent.spawn(ponging), gevent.spawn(pinging)])
    taken = time.perf_counter() - start
    check(woken, ROUND_TRIPS)
    return taken


def park(tasks):
    """Bytes and nanoseconds for each greenlet that sleeps for an hour."""
    before = usage()["resident_bytes"]
    start = time.perf_counter()
    for _ in range(tasks):
        gevent.spawn(gevent.sleep, 3600)
    # They start in this order, so all of them have started before the last one.
    gevent.spawn(gevent.sleep, 0).join()
    taken = time.perf_counter() - start
    after = usage()["resident_bytes"]
    return [(after - before) / tasks, taken * 1e9 / tasks]


def sleep(tasks, shortest, spread):
    """Lateness (median, 99th percentile, largest) in milliseconds, CPU time in seconds."""
    late = []

    def nap(index):
        start = time.perf_counter()
        length = shortest + spread * (index * 2_654_435_761 % 2**32) / (2**32 - 1)
        gevent.sleep(length)
        late.append((time.perf_counter() - start - length) * 1e3)

    before = usage()["cpu_nanos"]
    gevent.joinall([gevent.spawn(nap, index) for index in range(tasks)])
    cpu = (usage()["cpu_nanos"] - before) / 1e9
    check(len(late), tasks)
    late.sort()
    return [late[int((tasks - 1) * share)] for share in (0.5, 0.99, 1)] + [cpu]


# Seconds: the shortest sleep, and by how much the longest one is longer.
SLEEPS = {
    "sleep-smoke": (0, 0.02),
    "sleep-up-to-one": (0, 1),
    "sleep-one-to-two": (1, 1),
}

# How many operations a slice has, and the slice.
SLICES = {
    "yield-now": (2 * YIELDS, yield_now),
    "spawn-join": (BATCH, spawn_join),
    "spawn": (BATCH, spawn),
    "queue-unbounded": (ROUND_TRIPS, lambda: ping_pong(None)),
    "queue-one": (ROUND_TRIPS, lambda: ping_pong(1)),
    "spsc-unbounded": (ITEMS, lambda: spsc(None)),
    "spsc-bounded": (ITEMS, lambda: spsc(ROOM)),
    "mutex-alone": (ALONE, lock_alone),
    "mutex-contended": (CONTENDERS * CONTENDED, lambda: lock_contended(1)),
    "semaphore-alone": (ALONE, lock_alone),
    "semaphore-contended": (CONTENDERS * CONTENDED, lambda: lock_contended(PERMITS)),
    "event": (ROUND_TRIPS, event),
}
