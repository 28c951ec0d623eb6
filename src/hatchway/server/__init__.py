"""Running a server: what `hatchway serve`, `control` and `gateway` do."""
