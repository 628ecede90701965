"""imagiq."""
