"""The only package that knows the whole flow: experiments, runs, measures, cost, comparison, report, CLI."""
