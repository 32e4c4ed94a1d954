"""Standard errors, intervals and tests, on numbers and callables: no model is known here."""
