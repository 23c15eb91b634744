"""Looks through recorded sessions for what would teach a network the wrong thing."""
