"""Trigger the batch DAG and follow it, through Airflow's REST API."""

import itertools
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from loglake import clients
from loglake.errors import ServiceError
from loglake.settings import settings

DAG_ID = "loglake_batch"
_TIMEOUT_SECONDS = 30.0
#: A busy machine, or an API server that is being restarted, must not end the following of a run.
_RETRIES = Retry(total=8, backoff_factor=0.5, allowed_methods={"GET"})
_POLL_SECONDS = 0.5
#: Airflow's own limit of a page.
_PAGE_RUNS = 100
#: How long a DAG may take to appear after Airflow's first start.
_LISTED_WITHIN_SECONDS = 120.0
#: After so long without a change of any task's state it is asked whether the scheduler still drives the run.
_QUIET_SECONDS = 60.0
_FINAL_RUN_STATES = ("success", "failed")
_SEEN_STATES = ("running", "success", "failed", "up_for_retry", "upstream_failed", "skipped")


@dataclass(frozen=True)
class TaskUpdate:
    """A task that changed its state; `seconds` is how long the try has taken, 0 while it runs."""

    task: str
    state: str
    attempt: int
    seconds: float


@dataclass(frozen=True)
class Run:
    """A run of a DAG that has ended; `is_scheduled`: the schedule started it, not a person."""

    run_id: str
    state: str
    is_scheduled: bool
    started: datetime
    seconds: float

    @classmethod
    def of(cls, found: dict[str, Any]) -> "Run":
        """From Airflow's own description of it."""
        began, ended = (datetime.fromisoformat(found[name]) for name in ("start_date", "end_date"))
        return cls(found["dag_run_id"], found["state"], found["run_type"] == "scheduled", began, (ended - began).total_seconds())


@dataclass(frozen=True)
class Task:
    """A task of a run that has ended: when it was queued, when its process began and ended (Unix seconds), and the facts it left."""

    name: str
    queued: float
    started: float
    ended: float
    facts: dict[str, Any]


class Airflow:
    """A session with Airflow's API, logged in as the stack's user. ServiceError when the API is down or refuses."""

    def __init__(self) -> None:
        config = settings().airflow
        self._base = config.url
        self._session = clients.web()
        login = {"username": config.user, "password": config.password.get_secret_value()}
        token = self._call("POST", "/auth/token", json=login)["access_token"]
        self._session.headers["Authorization"] = f"Bearer {token}"
        self._session.mount("http://", HTTPAdapter(max_retries=_RETRIES))

    def trigger(self, dag_id: str = DAG_ID, params: Mapping[str, Any] | None = None) -> str:
        """Start a run of a DAG with these params, once Airflow has read its file; the run's id."""
        deadline = time.monotonic() + _LISTED_WITHIN_SECONDS
        while (dag := self._find(f"/api/v2/dags/{dag_id}")) is None:
            if errors := self.import_errors():
                raise ServiceError(f"Airflow cannot read {errors[0]}")
            if time.monotonic() > deadline:
                raise ServiceError(f"Airflow does not list the DAG {dag_id}: see `loglake logs airflow-dag-processor`")
            time.sleep(_POLL_SECONDS)
        if dag["is_paused"]:
            raise ServiceError(f"the DAG {dag_id} is paused: switch it on at {settings().airflow.page}/dags/{dag_id}")
        run = self._call("POST", f"/api/v2/dags/{dag_id}/dagRuns", json={"logical_date": None, "conf": dict(params or {})})
        return str(run["dag_run_id"])

    def make_pool(self, name: str, slots: int, description: str) -> None:
        """Make a pool with so many slots; one of this name that is there stays as it is."""
        if self._find(f"/api/v2/pools/{quote(name)}") is None:
            pool = {"name": name, "slots": slots, "description": description, "include_deferred": False}
            self._call("POST", "/api/v2/pools", json=pool)

    def finished(self, dag_id: str, since: datetime) -> list[Run]:
        """The scheduled and the triggered runs of a DAG that were started since then and have ended, the oldest first."""
        found: list[Run] = []
        limits = {"run_after_gte": since.isoformat(), "order_by": "run_after", "limit": _PAGE_RUNS}
        for offset in itertools.count(0, _PAGE_RUNS):
            page = self._call("GET", f"/api/v2/dags/{dag_id}/dagRuns", params={**limits, "offset": offset})["dag_runs"]
            found += [Run.of(run) for run in page if run["state"] in _FINAL_RUN_STATES]
            if len(page) < _PAGE_RUNS:
                break
        return found

    def span(self, run_id: str, dag_id: str = DAG_ID) -> tuple[float, float]:
        """When a run that has ended was queued, and when it ended (Unix seconds)."""
        found = self._call("GET", f"/api/v2/dags/{dag_id}/dagRuns/{quote(run_id)}")
        return _moment(found["queued_at"]), _moment(found["end_date"])

    def tasks(self, run_id: str, dag_id: str = DAG_ID) -> list[Task]:
        """The tasks of a run that have ended, with their facts; those that were skipped are left out."""
        run = f"/api/v2/dags/{dag_id}/dagRuns/{quote(run_id)}/taskInstances"
        found = [item for item in self._call("GET", run)["task_instances"] if item["state"] == "success"]
        moments = [[_moment(item[name]) for name in ("queued_when", "start_date", "end_date")] for item in found]
        return [
            Task(item["task_id"], queued, started, ended, self._facts(run, item))
            for item, (queued, started, ended) in zip(found, moments, strict=True)
        ]

    def _facts(self, run: str, item: dict[str, Any]) -> dict[str, Any]:
        entry = self._find(f"{run}/{item['task_id']}/xcomEntries/return_value")
        return dict(entry["value"]) if entry else {}

    def follow(self, run_id: str, dag_id: str = DAG_ID) -> Iterator[TaskUpdate]:
        """Each change of a task's state until the run ends.

        ServiceError with the failed task's own words when the run fails, or when no scheduler drives it any more.
        """
        run = f"/api/v2/dags/{dag_id}/dagRuns/{quote(run_id)}"
        seen: dict[str, tuple[str, int]] = {}
        quiet_since = time.monotonic()
        while True:
            state = self._call("GET", run)["state"]
            tasks = self._call("GET", f"{run}/taskInstances")["task_instances"]
            updates = changes(seen, tasks)
            yield from updates
            if state in _FINAL_RUN_STATES:
                break
            if updates:
                quiet_since = time.monotonic()
            elif time.monotonic() - quiet_since > _QUIET_SECONDS:
                self._require_scheduler(run_id, dag_id)
                quiet_since = time.monotonic()
            time.sleep(_POLL_SECONDS)
        if state == "failed":
            raise ServiceError(self._reason(run, run_id, dag_id, tasks))

    def import_errors(self) -> list[str]:
        """The files of the DAG folder that Airflow cannot read, each with the last line of its traceback."""
        errors = self._call("GET", "/api/v2/importErrors")["import_errors"]
        return [f"{error['filename']}: {error['stack_trace'].strip().splitlines()[-1]}" for error in errors]

    def _require_scheduler(self, run_id: str, dag_id: str) -> None:
        state = self._call("GET", "/api/v2/monitor/health")["scheduler"]["status"]
        if state != "healthy":
            raise ServiceError(f"run {run_id} of {dag_id} waits, but Airflow's scheduler is {state}: see `loglake logs airflow-scheduler`")

    def _reason(self, run: str, run_id: str, dag_id: str, tasks: list[dict[str, Any]]) -> str:
        failed = next((task for task in tasks if task["state"] == "failed"), None)
        page = f"{settings().airflow.page}/dags/{dag_id}/runs/{quote(run_id)}"
        if failed is None:
            return f"run {run_id} of {dag_id} failed: see {page}"
        log = self._call("GET", f"{run}/taskInstances/{failed['task_id']}/logs/{failed['try_number']}")
        return f"{failed['task_id']} failed: {first_error(log['content'])}; log: {page}"

    def _find(self, path: str) -> Any:
        return self._call("GET", path, missing_ok=True)

    def _call(self, method: str, path: str, *, missing_ok: bool = False, **arguments: Any) -> Any:
        try:
            response = self._session.request(method, self._base + path, timeout=_TIMEOUT_SECONDS, **arguments)
        except requests.RequestException as error:
            raise ServiceError(f"Airflow does not answer at {self._base} ({type(error).__name__}): see `loglake status`") from error
        if missing_ok and response.status_code == requests.codes.not_found:
            return None
        if response.status_code == requests.codes.unauthorized:
            raise ServiceError("Airflow refuses the log-in: was LOGLAKE_AIRFLOW_PASSWORD changed? Run `loglake down`, then `loglake up`")
        if not response.ok:
            raise ServiceError(f"Airflow answers {response.status_code} to {method} {path}: {response.text[:200]}")
        return response.json()


def run_batch() -> Iterator[TaskUpdate]:
    """Trigger the batch DAG and follow the run to its end; a run in progress is waited for by Airflow itself."""
    airflow = Airflow()
    yield from airflow.follow(airflow.trigger())


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def changes(seen: dict[str, tuple[str, int]], tasks: list[dict[str, Any]]) -> list[TaskUpdate]:
    """What is new in `tasks` (Airflow's task instances) against `seen`, which is brought up to date; in order of time."""
    updates = []
    for item in sorted(tasks, key=lambda item: (item["start_date"] or "9", item["task_id"])):
        current = (item["state"], item["try_number"])
        if item["state"] in _SEEN_STATES and seen.get(item["task_id"]) != current:
            seen[item["task_id"]] = current
            updates.append(TaskUpdate(item["task_id"], item["state"], item["try_number"], item["duration"] or 0.0))
    return updates


def first_error(content: list[dict[str, Any]]) -> str:
    """The first error of a task's log: the exception's message where there is one."""
    for message in content:
        if message.get("level") in ("error", "critical"):
            details = message.get("error_detail") or []
            return " ".join(str(details[0]["exc_value"] if details else message["event"]).split())
    return "its log names no error"
