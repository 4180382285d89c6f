# Two stages: `packages` installs the locked packages, `run` contains Python, the packages and the API.
# The digest is the tag's multi-platform index; Dependabot updates tag and digest together.
FROM python:3.13.16-slim-trixie@sha256:bf44cdfcb76cd3b41e879bc058fc37ec5872002ccfde7fcb765e218cde0cd79c AS packages
COPY requirements.txt .
# Only wheels with known hashes, so nothing is compiled.
RUN pip install --no-cache-dir --no-compile --require-hashes --only-binary :all: \
    --prefix /packages -r requirements.txt

FROM python:3.13.16-slim-trixie@sha256:bf44cdfcb76cd3b41e879bc058fc37ec5872002ccfde7fcb765e218cde0cd79c AS run
ARG BUILD=unknown
# Python writes no bytecode, so a read-only root file system works.
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HOST=0.0.0.0 PORT=8000 BUILD=$BUILD
COPY --from=packages /packages /usr/local
WORKDIR /app
COPY api api
# Numeric, so that platforms can verify that it is not root.
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=3s --start-period=10s \
    CMD ["python", "-m", "api.healthcheck"]
# Exec form, so that uvicorn is process 1 and receives SIGTERM.
CMD ["python", "-m", "api"]
