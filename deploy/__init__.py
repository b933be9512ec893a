"""How the product is built, started and stopped on one machine."""
