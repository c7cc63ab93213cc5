"""Music4All-Onion."""
