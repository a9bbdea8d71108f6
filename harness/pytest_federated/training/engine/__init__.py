"""How the clients of a cohort are put onto TFF's placements: one each, or many packed into one."""
