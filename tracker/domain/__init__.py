"""What is true without a computer: no input, no output, no clock."""
