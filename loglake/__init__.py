"""The kernel that every stage may import: settings, the event contract, table definitions, clients and errors."""
