"""The thesis's tables and figures from one command: what to run, how long it takes, and the page that compares."""
