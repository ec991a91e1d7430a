"""How a case is measured."""
