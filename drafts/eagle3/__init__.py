"""EAGLE-3 heads for Llama-like targets: the model as vLLM serves it, its teacher, its training, its export."""
