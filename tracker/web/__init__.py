"""HTTP in, HTTP out: a class per subject."""
