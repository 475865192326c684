"""What a user watches and reads."""
