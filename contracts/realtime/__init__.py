"""What clients of the notifier are answered."""
