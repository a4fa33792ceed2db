"""Files in a folder made searchable. Knows nothing of models that chat, nor of the page."""
