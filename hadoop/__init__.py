"""HDFS of the embedded stack: its configuration, and what starts the NameNode and the DataNode."""
