"""What is stored, and the only room that knows SQL."""
