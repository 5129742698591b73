"""What all commands share: the runner, progress, reports."""
