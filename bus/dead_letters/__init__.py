"""What was given up, for operators."""
