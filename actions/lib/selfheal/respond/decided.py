"""What a decision leaves in the column `analysis` of its incident, by key."""

DECIDED_PLAN = "decided_plan"  # the hash of the plan that it was made for
OBJECTIONS = "objections"  # what the guards said of that plan then
