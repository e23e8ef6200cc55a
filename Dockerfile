# One image for every service of docker-compose.yaml, made of what the embedded stack is made of: the versions and hashes of requirements.lock,
# the jars of stack/ivy.xml with the checksums of stack/jars.sha256.
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS runtime
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ca-certificates openjdk-17-jre-headless python3 \
    && rm -rf /var/lib/apt/lists/*
ENV PATH=/opt/loglake/.venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    LOGLAKE_JARS_DIR=/opt/loglake/jars

# What runs, without what only tests need: names from pyproject.toml, versions and hashes from the lock.
FROM runtime AS packages
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3-venv
ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    UV_CACHE_DIR=/opt/uv-cache \
    UV_LINK_MODE=copy
WORKDIR /opt/loglake
ARG UV=uv==0.13.9
RUN python3 -m venv .venv && python3 -m venv /opt/uv && /opt/uv/bin/pip install --quiet "$UV"
COPY pyproject.toml requirements.lock ./
# Not editable by a list of modules but by the folder, which is empty yet: a changed module leaves this layer as it is.
RUN --mount=type=cache,target=/opt/uv-cache \
    touch README.md \
    && /opt/uv/bin/uv pip install --quiet --compile-bytecode --python .venv/bin/python --constraint requirements.lock --requirement pyproject.toml \
    && /opt/uv/bin/uv pip install --quiet --python .venv/bin/python --no-deps --config-setting editable_mode=compat --editable . \
    && .venv/bin/python -m pip uninstall --quiet --yes pip setuptools

FROM packages AS jars
COPY loglake loglake
COPY stack stack
RUN --mount=type=cache,target=/opt/loglake/ivy-cache loglake jars

FROM runtime AS loglake
LABEL org.opencontainers.image.title="loglake" \
      org.opencontainers.image.description="A log lakehouse whose books balance: Kafka, Spark, Iceberg on HDFS, Airflow, Postgres, dbt" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="MIT"
# A number that hosts rarely give to a person. Volumes take over the owner of the folders that they are mounted on.
RUN useradd --system --uid 10001 --user-group --home-dir /var/lib/loglake --no-create-home --shell /usr/sbin/nologin loglake \
    && install --directory --owner loglake --group loglake --mode 0700 \
        /run/loglake /var/lib/loglake /var/lib/loglake/data /var/lib/loglake/data/dbt
COPY --from=packages /opt/loglake/.venv /opt/loglake/.venv
COPY --from=jars /opt/loglake/jars /opt/loglake/jars
COPY . /opt/loglake
RUN python3 -m compileall -q /opt/loglake/loglake /opt/loglake/stack /opt/loglake/consumers /opt/loglake/spark_jobs /opt/loglake/producers \
    /opt/loglake/hadoop /opt/loglake/monitoring /opt/loglake/dags
WORKDIR /opt/loglake
ENV HOME=/tmp \
    LOGLAKE_RUNTIME_DIR=/var/lib/loglake \
    LOGLAKE_SECRETS_FILE=/run/loglake/secrets.env
USER loglake
# `loglake serve` asks the service itself, and renews this file while it is healthy.
HEALTHCHECK --interval=5s --timeout=5s --start-period=240s --retries=3 CMD find /tmp/healthy -newermt "40 seconds ago" | grep -q .
CMD ["loglake", "--help"]
