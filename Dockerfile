FROM python:3.11-slim AS build
WORKDIR /src
COPY requirements.lock pyproject.toml README.md LICENSE ./
COPY .ci/build.lock .ci/postgres.lock .ci/
COPY tracker tracker
COPY static static
RUN python -m venv /opt/tracker \
    && /opt/tracker/bin/pip install --no-cache-dir --require-hashes -r requirements.lock -r .ci/postgres.lock \
    && python -m venv /opt/build \
    && /opt/build/bin/pip install --no-cache-dir --require-hashes -r .ci/build.lock \
    && /opt/build/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /opt/wheel . \
    && /opt/tracker/bin/pip install --no-cache-dir --no-deps /opt/wheel/tracker-*.whl

FROM python:3.11-slim
RUN useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin tracker \
    && install -d -o tracker -g tracker -m 0700 /data
COPY --from=build /opt/tracker /opt/tracker
ENV PATH=/opt/tracker/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    TRACKER_DATABASE_URL=sqlite:////data/tracker.db \
    TRACKER_HOST=0.0.0.0 \
    TRACKER_PORT=8000
USER tracker
WORKDIR /data
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{os.environ[\"TRACKER_PORT\"]}/readyz', timeout=2)"]
STOPSIGNAL SIGTERM
CMD ["tracker", "serve"]
