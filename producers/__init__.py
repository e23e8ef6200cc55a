"""What fills the topic: generated shoppers, replayed files, and the publisher both send through."""
