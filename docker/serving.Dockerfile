# Server of a portable model, without RecBole, Ray and a GPU: docs/guide/container.md
#   docker build -f docker/serving.Dockerfile -t recbole-sibrar-serving .

FROM python:3.11-slim AS build
WORKDIR /source
COPY setup.py pyproject.toml README.md LICENSE constraints.txt ./
COPY recbole_sibrar recbole_sibrar
COPY properties properties
COPY dataset_prep dataset_prep
# torch for the CPU alone comes from its own index; the package without its dependencies, as RecBole is one of them
RUN python -m venv /server \
    && /server/bin/pip install --no-cache-dir -c constraints.txt --index-url https://download.pytorch.org/whl/cpu \
       --extra-index-url https://pypi.org/simple torch numpy \
    && /server/bin/pip install --no-cache-dir -c constraints.txt pandas pyarrow scipy safetensors pyyaml \
       fastapi uvicorn httptools uvloop prometheus-client faiss-cpu \
    && /server/bin/pip install --no-cache-dir --no-deps .

FROM python:3.11-slim
COPY --from=build /server /server
# the folder /data holds the model, the token and the store of the items
RUN useradd --uid 10001 --no-create-home serving && mkdir /data && chown serving /data
USER 10001
ENV OMP_NUM_THREADS=1 PYTHONUNBUFFERED=1
VOLUME /data
EXPOSE 8000
HEALTHCHECK CMD ["/server/bin/python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/ready', timeout=5)"]
ENTRYPOINT ["/server/bin/recbole-sibrar", "serve"]
CMD ["/data/model.sibrar", "--host", "0.0.0.0"]
