"""Who is calling, and may they: where signatures, policies and the nouns meet."""
