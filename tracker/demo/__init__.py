"""The demo: a newsletter is sent and read, over real HTTP."""
