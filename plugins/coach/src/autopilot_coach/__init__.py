"""Ten minutes of play become a driver: playing, training, driving and correcting in one sitting."""
