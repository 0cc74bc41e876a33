"""Drafts from a target and its traffic: made, checked, compared, described."""
