"""Locust as a child process: workloads, the closed loop, the streaming client, request records.

Only `locustfile.py` imports Locust: the import patches socket, threading and subprocess, so it happens in a
process of its own. Locust puts this folder first on its module path: no file here may carry a name of the
standard library.
"""
