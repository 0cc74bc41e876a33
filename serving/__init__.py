"""vLLM as a child process: strict config -> command line, supervise, scrape, reset caches.

vLLM is launched, never imported, so everything but the live tests works without it.
"""
