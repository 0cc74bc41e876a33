"""Before a box is rented: what a model needs, what a device gives, and what a thousand tokens follow from the two."""
