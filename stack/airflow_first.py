"""What an Airflow with FAB needs at first, unless it is there: a user, and the pool of the DAGs' tasks. `python -m stack.airflow_first`.

A process of its own, with Airflow's configuration in its environment. Not through the API, whose log-in is that user's, who may have
changed the password; and not by `airflow users create`, where the password would be an argument, which others on the machine can read.
"""

from airflow.models.pool import Pool
from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder

from loglake.dag_policy import SPARK_POOL, SPARK_POOL_DESCRIPTION, SPARK_POOL_SLOTS
from loglake.errors import ServiceError
from loglake.settings import settings

_ROLE = "Admin"


def main() -> None:
    """Add what is missing; ServiceError when FAB does not take the user."""
    config = settings().airflow
    with get_application_builder() as builder:
        security = builder.sm
        if not security.find_user(config.user):
            names = (config.user, config.user, "admin", f"{config.user}@localhost")
            if not security.add_user(*names, security.find_role(_ROLE), config.password.get_secret_value()):
                raise ServiceError(f"FAB did not take the user {config.user}")
    if Pool.get_pool(SPARK_POOL) is None:
        Pool.create_or_update_pool(SPARK_POOL, SPARK_POOL_SLOTS, SPARK_POOL_DESCRIPTION, include_deferred=False)


if __name__ == "__main__":
    main()
