"""What authors of plugins need: a plugin to begin with, and checks of what one provides."""
