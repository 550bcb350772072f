"""How records look in a terminal. Begin with `console`."""
