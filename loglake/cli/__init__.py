"""The command line. Only these modules may import the stages, and they do so inside the commands, so that `--help` is quick."""
