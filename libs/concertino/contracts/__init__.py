"""What goes over the bus: messages, subjects, errors, and the schemas made from them. Depends on msgspec only."""
