"""Events in the shape of CloudTrail, and their durable log."""
