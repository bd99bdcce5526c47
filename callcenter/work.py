"""The queue of slow work (rq): what may take seconds and nobody waits for. `worker.py` does it.

Redis keys, all rq's own: `rq:queue:work-FLOOR`, `rq:job:ID`, `rq:workers…`. Arguments are JSON, never
pickles, and the worker does only jobs that it knows: whoever can write to Redis cannot run code of his.

A job has a name of its own, and is not queued twice under it; done, it is forgotten, failed, it may be queued
again after a minute. So a job must be such that it can be repeated, and whoever queues it must look again
whether it was done.
"""

from __future__ import annotations

import hashlib
from types import TracebackType

import redis
from rq import Queue
from rq.exceptions import DuplicateJobError
from rq.serializers import JSONSerializer

from callcenter.state import StateAway

JOB_SECONDS = 900
FAILED_SECONDS = 60  # how long a failed job's name stays taken
_SECONDS = 3.0


def queue_name(floor: str) -> str:
    return f"work-{floor}"


class WorkQueue:
    """Every method raises StateAway when Redis does not answer."""

    def __init__(self, url: str, floor: str) -> None:
        self._redis = redis.Redis.from_url(
            url, protocol=2, socket_connect_timeout=_SECONDS, socket_timeout=_SECONDS
        )
        self._queue = Queue(
            queue_name(floor),
            connection=self._redis,
            serializer=JSONSerializer,
            default_timeout=JOB_SECONDS,
        )

    def __enter__(self) -> WorkQueue:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._redis.close()

    def put(self, job: str, *arguments: str, name: str) -> bool:
        """Queue the function `job` ("package.module.function"); False: it is there under `name` already."""
        identity = hashlib.sha256(name.encode()).hexdigest()[:32]  # rq takes letters, digits, - and _ alone
        try:
            self._queue.enqueue_call(
                job,
                args=arguments,
                job_id=identity,
                description=name,
                result_ttl=0,
                failure_ttl=FAILED_SECONDS,
                unique=True,
            )
        except DuplicateJobError:
            return False
        except redis.RedisError as error:
            raise StateAway(f"Redis does not answer: {error}") from error
        return True
