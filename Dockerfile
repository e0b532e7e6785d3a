# syntax=docker/dockerfile:1
# One image for every role: worker (the default), Prefect's server, MLflow's server, Dask, and the command line.
# What is installed is what uv.lock says. Pin the base image by digest, too, where builds must repeat to the byte:
#   docker build --build-arg BASE=python:3.13-slim-bookworm@sha256:… -t scorelake:0.1.0 .
ARG BASE=python:3.13-slim-bookworm

FROM ${BASE} AS build
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never UV_NO_CACHE=1
RUN pip install --no-cache-dir --disable-pip-version-check uv==0.13.9
WORKDIR /app
# The libraries first: they change less often than the code.
COPY pyproject.toml uv.lock README.md ./
RUN uv sync --frozen --no-dev --extra team --no-install-project
COPY feature_repo feature_repo
COPY training training
COPY scoring scoring
COPY flows flows
RUN uv sync --frozen --no-dev --extra team

FROM ${BASE}
# Numbers, so that Kubernetes can see that it is not root. /data is the volume's place; the home is a folder within it,
# so that `scorelake restore` can put another one in its place.
RUN groupadd --gid 10001 scorelake \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /data scorelake \
    && install --directory --owner=10001 --group=10001 --mode=0750 /data
COPY --from=build /app /app
COPY prefect.yaml /app/
ENV PATH=/app/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HOME=/data \
    SCORELAKE_HOME=/data/home \
    PREFECT_HOME=/data/home/prefect \
    PREFECT_SERVER_ANALYTICS_ENABLED=false \
    MLFLOW_DISABLE_TELEMETRY=true \
    DO_NOT_TRACK=1
WORKDIR /app
USER 10001:10001
VOLUME /data
# The worker tells whether it still asks for runs. Other roles have checks of their own in compose.yaml.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/health', timeout=4)"]
CMD ["prefect", "worker", "start", "--pool", "scorelake", "--with-healthcheck"]
