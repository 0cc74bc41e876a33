"""What a policy would give: step costs, what drafts yield, steady load and queues. Nothing is measured here."""
