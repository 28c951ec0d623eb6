"""What an administrator does on the server itself, beside the API."""
