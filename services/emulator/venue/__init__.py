"""The trading half of the exchange as a pure fold: price ticks, settlements and requests in; answers and events out."""
