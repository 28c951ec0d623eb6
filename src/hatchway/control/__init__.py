"""The control plane: one HTTP application, one module a service."""
