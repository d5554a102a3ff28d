"""SQL of the API, one module a resource: rows in, DTOs out. Every function takes an open connection."""
