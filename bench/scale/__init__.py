"""What an installation of a given size asks of each part: measured small, and carried on to that size."""
