"""Names of the runtimes and of what a network's input can be; help texts import them, so light."""

TENSORFLOW, LITERT, ONNX = "tensorflow", "litert", "onnxruntime"
# In the order of preference where a model has files for several: cheapest on a CPU first.
RUNTIMES = (LITERT, ONNX, TENSORFLOW)
AUTO = "auto"
LAYOUTS = ("nhwc", "nchw")
COLORS = ("rgb", "bgr")
