"""The pocket model: corpus, tokenizer, training, export and evaluation."""
