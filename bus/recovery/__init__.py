"""Making good that Redis has lost its data."""
