"""What happens to a mail: links and headers are written, every other character stays as it was."""
