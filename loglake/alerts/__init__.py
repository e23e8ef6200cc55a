"""Telling people: what is judged (rules), when it is told (incidents), and how it reaches them (deliver)."""
