"""Reading one log document, whatever shape it has, into the pack's own terms."""
