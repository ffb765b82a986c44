"""What an operator writes in files."""
