"""Jobs on portable runners."""
