# docker build -t kgzsl . && docker run -p 127.0.0.1:8765:8765 -v ./runs/quickstart:/data/bundles:ro -v ./graphs:/data/graphs:ro -v kgzsl-state:/state kgzsl
FROM python:3.11-slim
WORKDIR /src
COPY pyproject.toml constraints.txt LICENSE README.md ./
COPY kgzsl kgzsl
# torch without CUDA: a fifth of the size
RUN pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu -c constraints.txt ".[service,graphs,text,images]" \
 && useradd --create-home --uid 10001 kgzsl && mkdir /state && chown kgzsl /state
USER kgzsl
# the backbone and the sentence encoder, checked by SHA-256; the service itself asks no network
RUN kgzsl data fetch efficientnet-lite0 && kgzsl data fetch minilm-l6-v2
EXPOSE 8765
STOPSIGNAL SIGTERM
# inside the container every address is its own; the port is published on loopback above. For others: --api-key-file
CMD ["kgzsl", "serve", "/data/bundles", "/data/graphs", "--host", "0.0.0.0", "--workers", "2", "--state", "/state"]
