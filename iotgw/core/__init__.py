"""What every room speaks: the nouns, the errors, the ports between the rooms."""
