"""`python -m serving.fake_server`: the fake server as a process, also under vLLM's own command line."""

import sys

from serving.fake_server.command import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
