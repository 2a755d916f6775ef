"""What attacks are about beyond pictures."""
