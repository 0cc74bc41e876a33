"""`vllm bench serve` where the `vllm` command does not start (the CPU wheel's has no metadata under that name)."""

from vllm.benchmarks.serve import add_cli_args, main  # noqa: TID251 - a process of its own, for the benchmark
from vllm.utils.argparse_utils import FlexibleArgumentParser  # noqa: TID251

if __name__ == "__main__":
    parser = FlexibleArgumentParser()  # type: ignore[no-untyped-call]
    add_cli_args(parser)
    main(parser.parse_args())
