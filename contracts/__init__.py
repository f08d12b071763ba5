"""What crosses a wire: commands, events, views, errors, permissions. Imports nothing of ours."""
