"""The kinds of results of a user's video, one class each: a new kind is a new class and a flag."""
