"""How a result is kept honest: walk-forward, combinatorial purged cross-validation, and what selection inflates."""
