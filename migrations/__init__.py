"""Revisions of the main database. Appended, never edited, once released; each says why it is there."""
