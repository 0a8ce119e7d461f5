"""What a memory bank held and forgot, recorded while it ran, and drawn afterwards."""
