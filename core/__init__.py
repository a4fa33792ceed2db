"""What Taller does, without a page: documents, engines, chat and fine-tuning. Never imports gradio."""
