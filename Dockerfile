# Two stages: `packages` installs the locked packages, `run` contains Python, the packages and the API.
# The digest is the tag's multi-platform index; Dependabot updates tag and digest together.
FROM python:3.13.16-slim-trixie@sha256:bf44cdfcb76cd3b41e879bc058fc37ec5872002ccfde7fcb765e218cde0cd79c AS base

FROM base AS packages
COPY api/requirements.txt .
# Only wheels with known hashes, so nothing is compiled.
RUN python -m pip install --no-cache-dir --no-compile --require-hashes --only-binary :all: \
    --prefix /packages -r requirements.txt

FROM base AS run
# A container cannot write bytecode: its file system is read-only.
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HOST=0.0.0.0 PORT=8000
COPY --from=packages /packages /usr/local
WORKDIR /app
COPY api api
# The sources keep the permissions that the clone's umask gave them, and another user must read them.
# The base image has no bytecode of Python itself. Sources in an image do not change, so Python need not
# compare bytecode with them.
RUN chmod -R u=rwX,go=rX api \
    && python -m pip uninstall --yes --quiet pip \
    && python -m compileall -q -j 0 --invalidation-mode unchecked-hash /usr/local/lib api
ARG BUILD=unknown
ENV BUILD=$BUILD
# Numeric, so that platforms can verify that it is not root. Without a group it would have root's.
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=3s --start-period=10s \
    CMD ["python", "-m", "api.healthcheck"]
# Exec form, so that uvicorn is process 1 and receives SIGTERM.
CMD ["python", "-m", "api"]
