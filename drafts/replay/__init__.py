"""What a drafter would have had accepted, counted from logged token ids: no model, no server, no torch."""
