"""The batch jobs on Spark: `load` brings what is new in the lake to Postgres."""
