"""A small score and the likelihood of reference answers, through the same server that is measured."""
