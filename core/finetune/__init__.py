"""Fine-tuning a model on the user's own examples: settings, datasets, runs and the process that trains."""
