"""Sessions and bundles for others: packs, ONNX, LeRobot, Rerun."""
