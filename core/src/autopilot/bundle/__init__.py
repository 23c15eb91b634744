"""All that drives but the network's code: the manifest, preprocessing, the selector. No JAX."""
