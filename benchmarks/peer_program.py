"""What a peer is asked to do, run by a Python that has the peer: ``peer_program.py NAME``.

Reads one JSON object a line, ``{"do": "calls", "count": 100}``, and writes one line for it, with
the seconds that each took. The workers of the peers are two processes.
"""

from __future__ import annotations

import json
import os
import sys
import time

SIZE = 256 << 20
clock = time.perf_counter


def noop(x):
    return x


def total(x):
    return float(x[-1])


class ProcessPool:
    def __init__(self):
        from concurrent.futures import ProcessPoolExecutor

        self.start = clock()
        self.pool = ProcessPoolExecutor(2)

    def call(self, value, work=noop):
        return self.pool.submit(work, value).result()

    def many(self, count):
        return [each.result() for each in [self.pool.submit(noop, i) for i in range(count)]]

    def close(self):
        self.pool.shutdown()


class Loky(ProcessPool):
    def __init__(self):
        from loky import get_reusable_executor

        self.start = clock()
        self.pool = get_reusable_executor(max_workers=2)


class Dask:
    def __init__(self):
        from distributed import Client, LocalCluster

        self.start = clock()
        self.cluster = LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50
        )
        self.client = Client(self.cluster)

    def call(self, value, work=noop):
        return self.client.submit(work, value, pure=False).result()

    def many(self, count):
        return self.client.gather(self.client.map(noop, range(count), pure=False))

    def keep(self, value):
        return self.client.scatter(value)

    def close(self):
        self.client.close()
        self.cluster.close()


class Ray:
    def __init__(self):
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        import ray

        self.start = clock()
        self.ray = ray
        ray.init(
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
            object_store_memory=2 << 30,
        )
        self.tasks = {work: ray.remote(work) for work in (noop, total)}

    def call(self, value, work=noop):
        return self.ray.get(self.tasks[work].remote(value))

    def many(self, count):
        task = self.tasks[noop]
        return self.ray.get([task.remote(i) for i in range(count)])

    def keep(self, value):
        return self.ray.put(value)

    def close(self):
        self.ray.shutdown()


class Flyte:
    """Flyte's local mode calls the task in the caller's own process."""

    def __init__(self):
        import flyte

        self.start = clock()
        environment = flyte.TaskEnvironment(name="peer")

        @environment.task
        async def one(i: int) -> int:
            return i

        @environment.task
        async def several(n: int) -> list[int]:
            import asyncio

            return list(await asyncio.gather(*[one(i) for i in range(n)]))

        flyte.init()
        self.run = lambda *call: flyte.with_runcontext(mode="local").run(*call)
        self.one, self.several = one, several

    def call(self, value):
        return self.run(self.one, value).outputs()[0]

    def many(self, count):
        return self.run(self.several, count).outputs()[0]

    def close(self):
        pass


PEERS = {"process pool": ProcessPool, "loky": Loky, "Dask": Dask, "Ray": Ray, "Flyte": Flyte}


def timed(work, count):
    row = []
    for i in range(count):
        start = clock()
        work(i)
        row.append(clock() - start)
    return row


def arrays(peer, count):
    """There and back, with a value that has not been sent before, as a new argument is."""
    import numpy

    row = []
    for _ in range(count):
        value = numpy.arange(SIZE // 8, dtype="f8")
        start = clock()
        back = peer.call(value)
        row.append(clock() - start)
        assert back.nbytes == SIZE
        del back
    return row


def references(peer, count):
    """To a worker that is told where the value is."""
    import numpy

    kept = peer.keep(numpy.arange(SIZE // 8, dtype="f8"))
    peer.call(kept, total)
    return timed(lambda _: peer.call(kept, total), count)


def main(name):
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the peer itself says is no answer
    peer = PEERS[name]()
    peer.call(1)
    rows = {"ready": [clock() - peer.start]}
    timed(peer.call, 30)
    while True:
        answers.write(json.dumps(rows) + "\n")
        answers.flush()
        line = sys.stdin.readline()
        if not line:
            break
        order = json.loads(line)
        what, count = order["do"], order["count"]
        if what == "calls":
            rows = timed(peer.call, count)
        elif what == "many":
            rows = timed(lambda _, size=order["size"]: peer.many(size), count)
        else:
            rows = (arrays if what == "arrays" else references)(peer, count)
    peer.close()


if __name__ == "__main__":
    main(sys.argv[1])
