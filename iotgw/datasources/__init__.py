"""Where data comes in: one folder per transport. `feed` hands messages over in order for all of them."""
