"""Tables of any form."""
