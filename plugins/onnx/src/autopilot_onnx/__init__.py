"""Networks as ONNX, computed by onnxruntime."""
