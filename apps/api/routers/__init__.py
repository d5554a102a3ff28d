"""HTTP faces, one module a resource: parameters in, a query called, a DTO out."""
