"""Trigger the batch DAG and follow it, through Airflow's REST API."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from loglake import clients
from loglake.errors import ServiceError
from loglake.settings import LOOPBACK, settings

DAG_ID = "loglake_batch"
_TIMEOUT_SECONDS = 30.0
#: A busy machine, or an API server that is being restarted, must not end the following of a run.
_RETRIES = Retry(total=8, backoff_factor=0.5, allowed_methods={"GET"})
_POLL_SECONDS = 0.5
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


class Airflow:
    """A session with Airflow's API, logged in as the stack's user. ServiceError when the API is down or refuses."""

    def __init__(self) -> None:
        config = settings().airflow
        self._base = f"http://{LOOPBACK}:{config.port}"
        self._session = clients.web()
        login = {"username": config.user, "password": config.password.get_secret_value()}
        token = self._call("POST", "/auth/token", json=login)["access_token"]
        self._session.headers["Authorization"] = f"Bearer {token}"
        self._session.mount("http://", HTTPAdapter(max_retries=_RETRIES))

    def trigger(self) -> str:
        """Start a run of the batch DAG, once Airflow has read its file; the run's id."""
        deadline = time.monotonic() + _LISTED_WITHIN_SECONDS
        while (dag := self._find(f"/api/v2/dags/{DAG_ID}")) is None:
            if errors := self.import_errors():
                raise ServiceError(f"Airflow cannot read {errors[0]}")
            if time.monotonic() > deadline:
                raise ServiceError(f"Airflow does not list the DAG {DAG_ID}: see `loglake logs airflow-dag-processor`")
            time.sleep(_POLL_SECONDS)
        if dag["is_paused"]:
            raise ServiceError(f"the DAG {DAG_ID} is paused: switch it on at {self._base}/dags/{DAG_ID}")
        run = self._call("POST", f"/api/v2/dags/{DAG_ID}/dagRuns", json={"logical_date": None})
        return str(run["dag_run_id"])

    def follow(self, run_id: str) -> Iterator[TaskUpdate]:
        """Each change of a task's state until the run ends.

        ServiceError with the failed task's own words when the run fails, or when no scheduler drives it any more.
        """
        run = f"/api/v2/dags/{DAG_ID}/dagRuns/{quote(run_id)}"
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
                self._require_scheduler(run_id)
                quiet_since = time.monotonic()
            time.sleep(_POLL_SECONDS)
        if state == "failed":
            raise ServiceError(self._reason(run, run_id, tasks))

    def import_errors(self) -> list[str]:
        """The files of the DAG folder that Airflow cannot read, each with the last line of its traceback."""
        errors = self._call("GET", "/api/v2/importErrors")["import_errors"]
        return [f"{error['filename']}: {error['stack_trace'].strip().splitlines()[-1]}" for error in errors]

    def _require_scheduler(self, run_id: str) -> None:
        state = self._call("GET", "/api/v2/monitor/health")["scheduler"]["status"]
        if state != "healthy":
            raise ServiceError(f"run {run_id} of {DAG_ID} waits, but Airflow's scheduler is {state}: see `loglake logs airflow-scheduler`")

    def _reason(self, run: str, run_id: str, tasks: list[dict[str, Any]]) -> str:
        failed = next((task for task in tasks if task["state"] == "failed"), None)
        if failed is None:
            return f"run {run_id} of {DAG_ID} failed: see {self._base}/dags/{DAG_ID}/runs/{quote(run_id)}"
        log = self._call("GET", f"{run}/taskInstances/{failed['task_id']}/logs/{failed['try_number']}")
        return f"{failed['task_id']} failed: {first_error(log['content'])}; log: {self._base}/dags/{DAG_ID}/runs/{quote(run_id)}"

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
