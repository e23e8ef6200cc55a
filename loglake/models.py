"""How dbt is run: as the environment's own command, on the project in `dbt/`, as the Postgres role `dbt`.

dbt's target and log folders lie in the runtime folder; the connection reaches it through the environment of that one process.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loglake import clients, locks, reference
from loglake.errors import ServiceError
from loglake.files import replacing
from loglake.lineage import sending
from loglake.settings import PROJECT, child_environment, settings
from loglake.warehouse import MODEL_LOCK_KEY

if TYPE_CHECKING:
    from openlineage.client.event_v2 import RunEvent

DBT_PROJECT = PROJECT / "dbt"
#: Every data test over all history, and the unit tests (dbt/selectors.yml); a plain build tests what is new.
FULL_TESTS = ["test", "--selector", "full_tests"]
#: The snapshot and the views it reads; `dbt snapshot` would fail on a new warehouse, where these are not there yet.
SNAPSHOT = ["build", "--select", "+resource_type:snapshot", "--resource-type", "model", "--resource-type", "snapshot"]
OnLine = Callable[[str], object]
_RESULTS = "run_results.json"
_FAILED = frozenset({"error", "fail", "runtime error", "partial success"})


@dataclass(frozen=True)
class NodeResult:
    """What became of one model, snapshot or test. `rows`: written by a model; failing rows of a test; None where dbt does not say."""

    name: str
    kind: str
    status: str
    rows: int | None
    seconds: float
    message: str

    @property
    def failed(self) -> bool:
        return self.status in _FAILED


@dataclass(frozen=True)
class ModelRun:
    """A finished dbt command: its nodes in the order they finished, and the whole time in seconds."""

    nodes: tuple[NodeResult, ...]
    seconds: float

    def of_kind(self, *kinds: str) -> tuple[NodeResult, ...]:
        return tuple(node for node in self.nodes if node.kind in kinds)

    @property
    def facts(self) -> dict[str, int | float]:
        """What the run did, in figures."""
        built = {kind: sum(node.status == "success" for node in self.of_kind(kind)) for kind in ("model", "snapshot")}
        return {
            "models": built["model"],
            "snapshots": built["snapshot"],
            "rows": sum(node.rows or 0 for node in self.of_kind("model", "snapshot")),
            "tests_passed": sum(node.status == "pass" for node in self.of_kind("test")),
            "tests_warned": sum(node.status == "warn" for node in self.of_kind("test")),
            "dbt_seconds": round(self.seconds, 3),
        }

    @property
    def note(self) -> str:
        found = self.facts
        warned = f", warned: {found['tests_warned']}" if found["tests_warned"] else ""
        return (
            f"models built: {found['models']}, snapshots: {found['snapshots']}, rows written: {found['rows']:,}; "
            f"tests passed: {found['tests_passed']}{warned}; dbt took {self.seconds:.1f} s"
        )


def _silent(line: str) -> None:
    """Where dbt's lines go when nobody asked for them; they are in its log file all the same."""


def target_dir(database: str | None = None, prefix: str = "") -> Path:
    """Where dbt keeps what it compiled and its run_results.json: a folder for each place it builds in, as its cached parse is of one."""
    return settings().runtime.data_dir / "dbt" / (prefix + (database or settings().postgres.database))


def dbt_environment(database: str | None = None, password: str | None = None, prefix: str = "") -> dict[str, str]:
    """The variables that `dbt/` reads, and where dbt finds and writes its files; also for the DAG's dbt tasks."""
    config = settings().postgres
    return {
        "LOGLAKE_DBT_HOST": config.host,
        "LOGLAKE_DBT_PORT": str(config.port),
        "LOGLAKE_DBT_DATABASE": database or config.database,
        "LOGLAKE_DBT_SCHEMA_PREFIX": prefix,
        "DBT_ENV_SECRET_LOGLAKE_PASSWORD": config.password("dbt") if password is None else password,
        "DBT_PROJECT_DIR": str(DBT_PROJECT),
        "DBT_PROFILES_DIR": str(DBT_PROJECT),
        "DBT_TARGET_PATH": str(target_dir(database, prefix)),
        "DBT_LOG_PATH": str(settings().runtime.logs_dir),
        "DBT_LOG_FORMAT_FILE": "json" if settings().log.format == "json" else "debug",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }


@contextmanager
def only_run(database: str | None = None, on_line: OnLine = _silent) -> Iterator[None]:
    """Wait for another dbt run on this warehouse to end, and hold off the next one: two would swap the same views under each other.

    What SQL cannot compute of the new loads is there when the block begins.
    """
    with clients.postgres("dbt", database) as connection:
        if not locks.take(connection, MODEL_LOCK_KEY):
            on_line("another dbt run is in progress: waiting for it to end")
            connection.execute("select pg_advisory_lock(%s)", [MODEL_LOCK_KEY])
        reference.fill(database)
        yield


def run_dbt(args: list[str], *, database: str | None = None, prefix: str = "", on_line: OnLine = _silent) -> ModelRun:
    """Run `dbt ARGS`, alone, and return its results; `on_line` gets each line it prints.

    `prefix`: in the schemas with this prefix, where the caller sees to it that no other run builds.
    Raises ServiceError with the first failing node's message, or with dbt's own when it did not get as far as running nodes.
    """
    lines: list[str] = []
    if prefix:
        reference.fill(database, prefix)
    with nullcontext() if prefix else only_run(database, on_line):
        forget_results(database, prefix)
        code = _stream(args, child_environment(**dbt_environment(database, prefix=prefix)), lines, on_line)
        run = last_results(database, prefix)
        if not prefix:
            tell_lineage(database=database)
    failed = [node for node in run.nodes if node.failed]
    if failed:
        more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        raise ServiceError(f"dbt {args[0]}: {failed[0].kind} {failed[0].name}: {failed[0].message}{more}; see {_log_file()}")
    if code != 0:
        raise ServiceError(f"dbt {args[0]}: {_complaint(lines)}; see {_log_file()}")
    return run


def forget_results(database: str | None = None, prefix: str = "") -> None:
    """Before a dbt run: the results of the one before must not be taken for its own. Whoever runs dbt holds the lock (`only_run`)."""
    results = results_file(database, prefix)
    results.parent.mkdir(parents=True, exist_ok=True)
    results.unlink(missing_ok=True)


def results_file(database: str | None = None, prefix: str = "") -> Path:
    """Where dbt writes what its last run did."""
    return target_dir(database, prefix) / _RESULTS


def last_results(database: str | None = None, prefix: str = "") -> ModelRun:
    """What the dbt run that has just ended did; nothing when it did not get as far as running nodes."""
    results = results_file(database, prefix)
    return read_results(json.loads(results.read_text())) if results.exists() else ModelRun((), 0.0)


def tell_lineage(parent: str = "", database: str | None = None) -> None:
    """After a dbt run: what it built, from what, to whoever wants lineage (loglake.lineage). `parent`: the run of Airflow around it."""

    def events() -> "list[RunEvent]":
        from loglake.lineage import models
        from loglake.lineage.events import Parent

        return models.events(target_dir(database), database or settings().postgres.database, Parent.of(parent))

    if results_file(database).exists():
        sending.send(events)


def write_docs(target: Path, *, database: str | None = None, on_line: OnLine = _silent) -> None:
    """Write dbt's documentation of the models to `target`: one HTML file that needs no internet, columns and sizes as they are now."""
    run_dbt(["docs", "generate", "--static"], database=database, on_line=on_line)
    with replacing(target) as draft:
        shutil.copyfile(target_dir(database) / "static_index.html", draft)


def read_manifest() -> dict[str, Any]:
    """dbt's manifest of the project as it is now: its models with their columns. Asks no server and leaves no file."""
    with tempfile.TemporaryDirectory() as folder:
        places = {"DBT_TARGET_PATH": folder, "DBT_LOG_PATH": folder}
        lines: list[str] = []
        if _stream(["parse"], child_environment(**(dbt_environment(password="") | places)), lines, _silent) != 0:
            raise ServiceError(f"dbt parse: {_complaint(lines)}")
        manifest: dict[str, Any] = json.loads((Path(folder) / "manifest.json").read_text())
        return manifest


def read_results(document: dict[str, Any]) -> ModelRun:
    """The content of dbt's run_results.json as a ModelRun."""
    return ModelRun(tuple(_node(result) for result in document["results"]), float(document["elapsed_time"]))


def kind_and_name(unique_id: str) -> tuple[str, str]:
    """A node's kind and name by its id (`model.loglake.fact_event`); a generic test's ends in a hash, no part of the name."""
    kind, _, rest = unique_id.partition(".")
    name = rest.partition(".")[2]
    return kind, (name.rpartition(".")[0] or name) if kind == "test" else name


def _node(result: dict[str, Any]) -> NodeResult:
    kind, name = kind_and_name(result["unique_id"])
    rows = result["failures"] if kind == "test" else result["adapter_response"].get("rows_affected")
    return NodeResult(
        name=name,
        kind=kind,
        status=result["status"],
        rows=rows if rows is not None and rows >= 0 else None,
        seconds=float(result["execution_time"]),
        message=" ".join((result["message"] or "").split()),
    )


def _stream(args: list[str], environment: dict[str, str], lines: list[str], on_line: OnLine) -> int:
    """Run dbt, keep and hand over its lines as they come, and return its exit code."""
    command = [str(Path(sys.executable).with_name("dbt")), "--no-use-colors", *args]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        for line in process.stdout or ():
            lines.append(line.rstrip("\n"))
            on_line(lines[-1])
    return process.returncode


def _complaint(lines: list[str]) -> str:
    """What dbt said before it gave up: from the first line that names an error, at most three lines."""
    plain = [line.partition("  ")[2].strip() or line.strip() for line in lines]
    start = next((number for number, line in enumerate(plain) if "Error" in line), max(len(plain) - 1, 0))
    return " ".join(" ".join(plain[start : start + 3]).split()) or "no output"


def _log_file() -> Path:
    return settings().runtime.logs_dir / "dbt.log"
