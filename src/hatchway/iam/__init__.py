"""The IAM policy language: documents, matching, conditions, decisions, explanations, lint. Pure."""
