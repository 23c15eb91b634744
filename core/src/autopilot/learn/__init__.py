"""Networks, policies, engines, training: the only room that knows JAX."""
