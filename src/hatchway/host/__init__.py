"""What runs on a target host: enrolment and authorized keys."""
