"""Logs of our own processes: one JSON object a line, in `.run/log/NAME.jsonl`.

`log = structlog.get_logger()` anywhere, then `log.info("lease taken", epoch=4)`: the event is a short plain
sentence, the rest are values. Values whose key names a secret are replaced before they are written.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from logging.handlers import WatchedFileHandler
from typing import Any

import msgspec
import structlog

from .paths import RunDirectory

_SECRET_WORDS = ("password", "secret", "token", "pin", "authorization")


def start_logging(run: RunDirectory, name: str, level: int = logging.INFO) -> None:
    """Send this process's log to `.run/log/NAME.jsonl`; the standard library's loggers are included.

    The file is reopened when it is moved away, so that logrotate needs no signal.
    """
    run.log.mkdir(parents=True, exist_ok=True)
    output = WatchedFileHandler(run.log / f"{name}.jsonl", encoding="utf-8")
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        # Not structlog's dict_tracebacks: it writes local variables, secrets and callers' numbers among them.
        structlog.processors.ExceptionRenderer(
            structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        ),
        _without_secrets,
    ]
    output.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.EventRenamer("event"),
                structlog.processors.JSONRenderer(serializer=_as_json),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [output]
    root.setLevel(level)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # one line a request, with its URL
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(process=name)
    sys.excepthook = _log_last_words


def _without_secrets(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key in event:
        if key.lower() in _SECRET_WORDS or key.lower().endswith(tuple(f"_{word}" for word in _SECRET_WORDS)):
            event[key] = "(not logged)"
    return event


def _as_json(event: Any, **_options: Any) -> str:
    return msgspec.json.encode(event, enc_hook=repr).decode()


def _log_last_words(kind: type[BaseException], error: BaseException, traceback: Any) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        structlog.get_logger().critical("ended by an error", exc_info=(kind, error, traceback))
    sys.__excepthook__(kind, error, traceback)
