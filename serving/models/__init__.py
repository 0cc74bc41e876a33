"""Where a served model comes from: a packaged one, a local directory or a model hub.

`catalogue` decides what a name means, `fetch` brings a packaged file here and checks its hash, `cache` keeps
converted checkpoints, `checkpoint_check` says whether a directory is one that the engine can load. Nothing
here imports torch: converting is the work of a child process that `workbench` starts.
"""
