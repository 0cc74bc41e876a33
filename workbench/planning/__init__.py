"""Which policy costs least here: what a step takes on this box, what a drafter yields, what follows from both."""
