"""The other side, played on this machine: servers that check what they are asked."""
