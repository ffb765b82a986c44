"""Long actions that go on beside everything else, and over restarts."""
