"""What goes on between requests; each worker is an async context manager."""
