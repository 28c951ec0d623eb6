"""Tables, migrations, repositories and the change feed."""
