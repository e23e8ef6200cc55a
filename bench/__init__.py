"""The measurements: rates and ratios of each stage, cost against history, sustained load, and what the idle stack takes.

A measuring tool and no stage of the data's way, so it may import the stages it measures.
"""
