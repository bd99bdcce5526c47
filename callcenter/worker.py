"""The process that does slow work: an rq worker for one floor's queue.

A process of its own, not a part of the back office: a job forks a child that runs sox and reads whole files
for seconds; whatever it eats or breaks, the drain of records beside it does not wait.

It may be killed at any instant: jobs can be repeated, see `work.py`. Each turn of rq's loop, a second at
most, is a beat; a turn that hangs ends the process (`heartbeats.py`), and the keeper starts it again. While
Redis is away it waits.

    python -m callcenter.worker --site callcenter.toml --run .run
"""

from __future__ import annotations

import logging
import os
import signal
import time
from pathlib import Path
from types import FrameType
from typing import Any

import click
import redis
import structlog
from rq import Queue, Worker
from rq.job import Job
from rq.serializers import JSONSerializer

from callcenter.endpoints import redis_url
from callcenter.heartbeats import EVERY_SECONDS, Heartbeat
from callcenter.logs import start_logging
from callcenter.paths import RunDirectory
from callcenter.recordings import jobs
from callcenter.site import site_in_force
from callcenter.work import queue_name

NAME = "worker"
# rq runs any function that Redis names: only these.
JOBS = frozenset({jobs.JOIN, jobs.RETIRE})
# With rq's own values the job of a worker that was killed comes back after a quarter of an hour.
_TTL_SECONDS, _MAINTENANCE_SECONDS = 25, 20

log = structlog.get_logger()


class BeatingWorker(Worker):
    """rq's worker, whose loop turns at least once a second and tells `beat` so."""

    max_connection_wait_time = 1
    beat: Heartbeat | None = None
    stopping = False
    away = False  # Redis
    _parent = os.getpid()

    @property
    def dequeue_timeout(self) -> int:
        return 1

    def heartbeat(self, *given: Any, **named: Any) -> None:
        self._beat()
        try:
            super().heartbeat(*given, **named)
        except redis.RedisError as error:
            self.note_away(error)
            raise
        self.note_back()

    def maintain_heartbeats(self, *given: Any, **named: Any) -> None:
        self._beat()
        super().maintain_heartbeats(*given, **named)

    def execute_job(self, job: Job, queue: Queue) -> None:
        if job.func_name in JOBS:
            super().execute_job(job, queue)
        else:
            log.error("a job that is none of ours is thrown away", job=job.func_name)
            job.delete()

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        type(self).stopping = True
        super().request_stop(signum, frame)  # type: ignore[no-untyped-call]

    @classmethod
    def note_away(cls, error: redis.RedisError) -> None:
        if not cls.away:
            log.warning("slow work must wait: Redis is away", error=str(error))
        cls.away = True

    @classmethod
    def note_back(cls) -> None:
        if cls.away:
            log.info("working again", was_away="Redis")
        cls.away = False

    def _beat(self) -> None:
        if self.beat is not None and os.getpid() == self._parent:  # not in the child that does the job
            self.beat.touch()


def work(url: str, floor: str, beat: Heartbeat) -> None:
    """Do jobs until SIGTERM or SIGINT; a job that runs then is done to its end."""
    BeatingWorker.beat, BeatingWorker._parent, BeatingWorker.stopping = beat, os.getpid(), False
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)  # rq's own take their place while it works
    logging.getLogger("rq.worker").addFilter(_is_news)
    while not BeatingWorker.stopping:
        beat.touch()
        connection = redis.Redis.from_url(url, protocol=2, socket_connect_timeout=1, socket_timeout=1)
        try:
            connection.ping()
            BeatingWorker.note_back()
            BeatingWorker(
                [queue_name(floor)],
                connection=connection,
                serializer=JSONSerializer,
                worker_ttl=_TTL_SECONDS,
                maintenance_interval=_MAINTENANCE_SECONDS,
                job_monitoring_interval=1,
            ).work(logging_level="WARNING")
        except redis.RedisError as error:
            BeatingWorker.note_away(error)
        finally:
            connection.close()
        if not BeatingWorker.stopping:
            time.sleep(EVERY_SECONDS)


def _is_news(record: logging.LogRecord) -> bool:
    """rq tells every second that Redis is away; we tell it once."""
    return "could not connect to Redis" not in str(record.msg)


def _stop(_number: int, _frame: FrameType | None) -> None:
    BeatingWorker.stopping = True


@click.command()
@click.option("--site", "site_path", type=click.Path(path_type=Path), required=True)
@click.option("--run", "run_path", type=click.Path(path_type=Path), required=True)
def main(site_path: Path, run_path: Path) -> None:
    """Run the worker in the foreground (`callcenter up` does it for you)."""
    run = RunDirectory(run_path)
    start_logging(run, NAME)
    site = site_in_force(site_path, run)
    run.heartbeat.mkdir(parents=True, exist_ok=True)
    beat = Heartbeat(run, NAME)
    try:
        work(redis_url(site, run), site.floor.name, beat)
    finally:
        beat.end()
    log.info("worker ended", why="asked to stop")


if __name__ == "__main__":
    main()
