"""Questions answered from the documents. Knows nothing of the page."""
