"""Plans which edges of the control flow to count, and recovers all counts from those. Pure functions."""
