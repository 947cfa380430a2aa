# Restante with its own PostgreSQL in a volume, or with yours: set RESTANTE_DATABASE_URL and RESTANTE_SECRET_KEY.
ARG PYTHON=3.13

FROM python:${PYTHON}-slim-trixie AS build
COPY requirements-otel.lock requirements-node.lock /build/
RUN python -m venv /opt/restante \
    && /opt/restante/bin/pip install --no-cache-dir --require-hashes -r /build/requirements-otel.lock \
    && python -m venv /opt/node \
    && /opt/node/bin/pip install --no-cache-dir --require-hashes -r /build/requirements-node.lock
COPY dashboard /build/dashboard
RUN /opt/node/bin/python /build/dashboard/build.py
COPY pyproject.toml README.md LICENSE /build/
COPY service /build/service
COPY migrations /build/migrations
COPY openapi /build/openapi
RUN /opt/restante/bin/pip install --no-cache-dir --no-deps --no-build-isolation --no-index /build

FROM python:${PYTHON}-slim-trixie
RUN useradd --system --uid 10001 --home-dir /var/lib/restante --create-home restante
COPY --from=build /opt/restante /opt/restante
ENV PATH=/opt/restante/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    RESTANTE_HOST=0.0.0.0 \
    RESTANTE_DATA_DIR=/var/lib/restante
USER restante
VOLUME /var/lib/restante
EXPOSE 8080
# The service drains for up to 25 s, and ends within 30.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{os.environ.get(\"RESTANTE_PORT\", 8080)}/healthz', timeout=2)"]
CMD ["restante", "serve"]
