# Trains, evaluates and exports models:
#
#   docker build -f docker/train.Dockerfile -t tfspeech .
#   docker run --rm -v "$PWD:/data" tfspeech train --data folder:recordings --run-dir runs/mine
#   docker run --rm -v "$PWD:/data" tfspeech export runs/mine
#
# For GPUs, with the NVIDIA container toolkit on the host: build with
# --build-arg TENSORFLOW='tensorflow[and-cuda]' and run with --gpus all.
FROM python:3.12-slim

ARG TENSORFLOW=tensorflow
WORKDIR /opt/tfspeech
COPY setup.cfg pyproject.toml README.md LICENSE ./
COPY models models
COPY tfspeech tfspeech
COPY tuning tuning
RUN pip install --no-cache-dir . "$TENSORFLOW"

# Corpora, runs, exports and decoded audio are in the mounted folder.
ENV TFSPEECH_CACHE=/data/.tfspeech-cache
WORKDIR /data
ENTRYPOINT ["tfspeech"]
