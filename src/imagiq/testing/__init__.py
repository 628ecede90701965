"""What plugin authors test with: contract suites, and worlds that fail on request."""
