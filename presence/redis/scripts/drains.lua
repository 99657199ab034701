-- Part of the script by which a copy of a partition that the fleet has left is emptied.
drains = true
