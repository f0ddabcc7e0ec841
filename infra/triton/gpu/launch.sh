#!/usr/bin/env bash
# Serves the models of a models.yaml on GPUs, in NVIDIA's Triton image.
#
#   launch.sh [models.yaml]
#
# RANKS          the GPUs that one model is spread over: tensor_parallel_size x pipeline_parallel_size.
#                Above 1, Triton runs under mpirun, whose further ranks wait for the model's executor:
#                started without, an executor of several GPUs can fail with MPI_ERR_SPAWN. All ranks
#                are one model's, so such a container serves one model.
# OTLP_ENDPOINT  where our spans go (gRPC), for example http://collector:4317.
set -euo pipefail

models=$(realpath "${1:-/models/models.yaml}")
ranks=${RANKS:-1}
repository=$(mktemp -d)

cd "$(dirname "$0")/../../.."
.venv/bin/python -m infra.triton.gpu "$models" "$repository" \
  --python "$(command -v python3)" --otlp-endpoint "${OTLP_ENDPOINT:-}"

server=(
  tritonserver
  "--model-repository=$repository"
  --disable-auto-complete-config
  # What a stub has for loading Python; the model has an hour.
  '--backend-config=python,stub-timeout-seconds=120'
  '--grpc-header-forward-pattern=^(traceparent|tracestate)$'
  # An executor takes some seconds to let go of its GPUs.
  --exit-timeout-secs=60
)

if ((ranks > 1)); then
  exec mpirun --allow-run-as-root -n "$ranks" trtllm-llmapi-launch "${server[@]}"
fi
exec "${server[@]}"
