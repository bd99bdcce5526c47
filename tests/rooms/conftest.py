"""Fixtures of the rooms' tests."""

from __future__ import annotations

import pytest


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit may take long: for tests that are not about a slow Redis, on machines that are busy."""
    monkeypatch.setattr("callcenter.state.store.COMMIT_SECONDS", 10.0)
