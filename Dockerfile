# The container of Textbridge: web processes and delivery worker in one, everything kept in /data.
# `make image` builds it. BASE may name another image that has Python 3.11 or newer as `python`.
ARG BASE=python:3.13-slim

FROM ${BASE} AS build
WORKDIR /app
COPY requirements/runtime.lock requirements/
RUN python -m venv /venv \
 && /venv/bin/pip install --no-cache-dir --only-binary :all: --require-hashes \
    -r requirements/runtime.lock \
 && /venv/bin/pip uninstall --quiet --yes pip \
 && find /venv/lib -type d -name tests -prune -exec rm -r {} +
COPY . .
# Readable whatever the umask of the checkout; compiled, as nothing is written at run time.
RUN chmod -R u=rwX,go=rX . && python -m compileall -q --invalidation-mode unchecked-hash .

FROM ${BASE}
ENV PATH=/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    FLASK_SKIP_DOTENV=1 \
    APP_ENV=production \
    HOST=0.0.0.0 \
    PORT=8000 \
    STORAGE_PATH=/data
RUN groupadd --gid 10001 textbridge \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /data \
    --shell /usr/sbin/nologin textbridge \
 && install -d -o textbridge -g textbridge -m 700 /data
COPY --from=build /venv /venv
COPY --from=build /app /app
WORKDIR /app
USER 10001:10001
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
  CMD ["python", "-c", "import http.client, os, sys; \
c = http.client.HTTPConnection('127.0.0.1', int(os.environ['PORT']), timeout=4); \
c.request('GET', '/up'); sys.exit(c.getresponse().status != 200)"]
CMD ["gunicorn", "-c", "gunicorn.conf.py", "wsgi:app"]
