# Serves the exported models of this folder, over gRPC on 8500 and REST on 8501:
#
#   docker build -f docker/serve.Dockerfile -t tfspeech-serving .
#   docker run --rm -p 8500:8500 -p 8501:8501 tfspeech-serving
#
# The models are in the image, so that it is rolled out and back as one piece. To
# have a server take new versions from a folder, mount it: see docs/serving.md.
FROM tensorflow/serving

COPY saved_models /models
# Arguments of the image's own command, which sets the two ports.
CMD ["--model_config_file=/models/models.config", \
     "--enable_batching", \
     "--batching_parameters_file=/models/batching.config"]
