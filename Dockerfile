# Two stages: `packages` installs the locked wheels, `run` holds Python, them and the app.
# The digest is the multi-platform index of that tag; Dependabot moves both together.
FROM python:3.13.16-slim-trixie@sha256:bf44cdfcb76cd3b41e879bc058fc37ec5872002ccfde7fcb765e218cde0cd79c AS packages
COPY requirements.txt .
# Wheels only, each checked against its hash: nothing is built and nothing else gets in.
RUN pip install --no-cache-dir --no-compile --require-hashes --only-binary :all: \
    --prefix /packages -r requirements.txt

FROM python:3.13.16-slim-trixie@sha256:bf44cdfcb76cd3b41e879bc058fc37ec5872002ccfde7fcb765e218cde0cd79c AS run
ARG BUILD=unknown
# No bytecode is written and no file is needed but these: a read-only root file system works.
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HOST=0.0.0.0 PORT=8000 BUILD=$BUILD
COPY --from=packages /packages /usr/local
WORKDIR /app
COPY api api
# A number, so that a platform can see that it is not root's.
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=3s --start-period=10s \
    CMD ["python", "-m", "api.healthcheck"]
# The exec form: uvicorn is process 1's own program and gets SIGTERM itself.
CMD ["python", "-m", "api"]
