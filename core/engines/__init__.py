"""Who writes the words: Ollama, or no model at all. Knows nothing of documents or pages."""
