"""What makes the book: chapters, claims, pages, figures."""
