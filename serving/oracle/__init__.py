"""The drafter that knows the answers; the folder is put on a server's PYTHONPATH, so that nothing else is in it."""
